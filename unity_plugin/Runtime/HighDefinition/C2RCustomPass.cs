using System;
using C2R.Internal;
using UnityEngine;
using UnityEngine.Rendering;
using UnityEngine.Rendering.HighDefinition;

namespace C2R.HighDefinition
{
    /// <summary>
    /// Add it to a Custom Pass Volume with the injection point After Post Process. HDRP draws into
    /// texture arrays that may be larger than the picture.
    /// </summary>
    [Serializable]
    public sealed class C2RCustomPass : CustomPass
    {
        /// <inheritdoc/>
        protected override void Execute(CustomPassContext ctx)
        {
            C2RRenderer component = C2RRenderer.Of(ctx.hdCamera.camera);
            if (component == null) return;
            RTHandle colour = ctx.cameraColorBuffer;
            Vector4 scale = RTHandles.rtHandleProperties.rtHandleScale;
            var sources = new CaptureSources
            {
                Colour = colour.nameID,
                Depth = ctx.cameraDepthBuffer.nameID,
                Motion = ctx.cameraMotionVectorsBuffer.nameID,
                DepthKind = KindOf(component, C2RSideChannels.Depth),
                MotionKind = KindOf(component, C2RSideChannels.Motion),
                Arrays = colour.rt.dimension == TextureDimension.Tex2DArray,
                Scale = new Vector2(scale.x, scale.y),
                Viewport = new Vector2Int(ctx.hdCamera.actualWidth, ctx.hdCamera.actualHeight)
            };
            component.Record(ctx.cmd, ref sources);
        }

        private static SourceKind KindOf(C2RRenderer component, C2RSideChannels channel)
        {
            return (component.Channels & channel) != 0 ? SourceKind.Given : SourceKind.Missing;
        }
    }
}
