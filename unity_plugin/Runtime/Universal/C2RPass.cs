using C2R.Internal;
using UnityEngine;
using UnityEngine.Rendering.Universal;

namespace C2R.Universal
{
    /// <summary>
    /// What the passes of both generations of URP share; <c>C2RPass.Execute.cs</c> records with
    /// command buffers (URP 14, Unity 2022.3), <c>C2RPass.RenderGraph.cs</c> with the render graph
    /// (URP 17, Unity 6).
    /// </summary>
    internal sealed partial class C2RPass : ScriptableRenderPass
    {
        private C2RRenderer _renderer;

        /// <summary>The component to serve this frame, and what the pipeline must draw for it.</summary>
        public void Prepare(C2RRenderer renderer)
        {
            _renderer = renderer;
            ScriptableRenderPassInput needs = ScriptableRenderPassInput.Color;
            if (Wants(C2RSideChannels.Depth)) needs |= ScriptableRenderPassInput.Depth;
            if (Wants(C2RSideChannels.Motion)) needs |= ScriptableRenderPassInput.Motion;
            ConfigureInput(needs);
#if C2R_URP_17
            // The screen itself cannot be read, and has its rows the other way round.
            requiresIntermediateTexture = true;
#endif
        }

        private bool Wants(C2RSideChannels channel)
        {
            return (_renderer.Channels & channel) != 0;
        }

        private SourceKind KindOf(C2RSideChannels channel, SourceKind there)
        {
            return Wants(channel) ? there : SourceKind.Missing;
        }
    }
}
