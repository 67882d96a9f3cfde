#if !C2R_URP_17
using C2R.Internal;
using UnityEngine;
using UnityEngine.Rendering;
using UnityEngine.Rendering.Universal;

namespace C2R.Universal
{
    /// <summary>URP 14: a command buffer in <c>Execute</c>; depth and motion come by name.</summary>
    internal sealed partial class C2RPass
    {
        /// <inheritdoc/>
        public override void Execute(ScriptableRenderContext context, ref RenderingData renderingData)
        {
            if (_renderer == null || !_renderer.isActiveAndEnabled) return;
            RTHandle colour = renderingData.cameraData.renderer.cameraColorTargetHandle;
            var sources = new CaptureSources
            {
                Colour = colour.nameID,
                DepthKind = KindOf(C2RSideChannels.Depth, SourceKind.ByName),
                MotionKind = KindOf(C2RSideChannels.Motion, SourceKind.ByName),
                Scale = Vector2.one
            };
            CommandBuffer cmd = CommandBufferPool.Get("C2R");
            _renderer.Record(cmd, ref sources);
            context.ExecuteCommandBuffer(cmd);
            CommandBufferPool.Release(cmd);
        }
    }
}
#endif
