#if C2R_URP_17
using C2R.Internal;
using UnityEngine;
using UnityEngine.Rendering;
using UnityEngine.Rendering.RenderGraphModule;
using UnityEngine.Rendering.Universal;

namespace C2R.Universal
{
    /// <summary>
    /// URP 17: an unsafe pass, since readings of textures are asked for on its command buffer.
    /// </summary>
    internal sealed partial class C2RPass
    {
        private sealed class PassData
        {
            public C2RRenderer Renderer;
            public TextureHandle Colour;
            public TextureHandle Depth;
            public TextureHandle Motion;
        }

        /// <inheritdoc/>
        public override void RecordRenderGraph(RenderGraph renderGraph, ContextContainer frameData)
        {
            var resources = frameData.Get<UniversalResourceData>();
            if (resources.isActiveTargetBackBuffer) return;
            using (IUnsafeRenderGraphBuilder builder =
                renderGraph.AddUnsafePass<PassData>("C2R", out PassData data))
            {
                data.Renderer = _renderer;
                data.Colour = resources.activeColorTexture;
                data.Depth = Given(C2RSideChannels.Depth, resources.cameraDepthTexture);
                data.Motion = Given(C2RSideChannels.Motion, resources.motionVectorColor);
                builder.UseTexture(data.Colour, AccessFlags.ReadWrite);
                if (data.Depth.IsValid()) builder.UseTexture(data.Depth, AccessFlags.Read);
                if (data.Motion.IsValid()) builder.UseTexture(data.Motion, AccessFlags.Read);
                // No other pass of the graph reads its output, so that the graph would cull it.
                builder.AllowPassCulling(false);
                builder.AllowGlobalStateModification(true);
                builder.SetRenderFunc<PassData>(Render);
            }
        }

        private TextureHandle Given(C2RSideChannels channel, TextureHandle there)
        {
            return Wants(channel) ? there : TextureHandle.nullHandle;
        }

        private static void Render(PassData data, UnsafeGraphContext context)
        {
            if (data.Renderer == null || !data.Renderer.isActiveAndEnabled) return;
            var sources = new CaptureSources { Colour = data.Colour, Scale = Vector2.one };
            if (data.Depth.IsValid())
            {
                sources.Depth = data.Depth;
                sources.DepthKind = SourceKind.Given;
            }
            if (data.Motion.IsValid())
            {
                sources.Motion = data.Motion;
                sources.MotionKind = SourceKind.Given;
            }
            CommandBuffer cmd = CommandBufferHelpers.GetNativeCommandBuffer(context.cmd);
            data.Renderer.Record(cmd, ref sources);
        }
    }
}
#endif
