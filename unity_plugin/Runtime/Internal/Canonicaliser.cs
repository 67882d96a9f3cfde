using System;
using UnityEngine;
using UnityEngine.Rendering;

namespace C2R.Internal
{
    /// <summary>Records the drawing of a slot's canonical textures from what a pipeline drew.</summary>
    internal sealed class Canonicaliser : IDisposable
    {
        private const string ShaderName = "C2R/C2RCanonical";
        private const int ColourPass = 0;
        private const int DepthPass = 1;
        private const int MotionPass = 2;
        private const int DepthByNamePass = 3;
        private const int MotionUniversalPass = 4;
        private const int MotionBuiltInPass = 5;

        private static readonly int Source = Shader.PropertyToID("_C2RSource");
        private static readonly int Scale = Shader.PropertyToID("_C2RScale");
        private static readonly int Flip = Shader.PropertyToID("_C2RFlip");
        private static readonly int Encode = Shader.PropertyToID("_C2REncode");
        private static readonly int Planes = Shader.PropertyToID("_C2RPlanes");
        private static readonly int Size = Shader.PropertyToID("_C2RSize");

        private readonly Material _material;
        private readonly MaterialPropertyBlock _block = new MaterialPropertyBlock();

        public Canonicaliser()
        {
            _material = new Material(Resources.Load<Shader>(ShaderName))
            {
                hideFlags = HideFlags.HideAndDontSave
            };
        }

        /// <summary>
        /// Draws colour, and depth and motion where slot and sources have them.
        /// <paramref name="topFirst"/>: the source's row 0 is the top already.
        /// </summary>
        public void Record(
            CommandBuffer cmd, CaptureSlot slot, ref CaptureSources sources, Camera camera, bool topFirst)
        {
            SetKeyword(sources.Arrays);
            Describe(slot, ref sources, camera, topFirst);
            Draw(cmd, sources.Colour, slot.Colour, ColourPass, true);
            if (slot.Depth != null && sources.DepthKind != SourceKind.Missing)
            {
                bool given = sources.DepthKind == SourceKind.Given;
                Draw(cmd, sources.Depth, slot.Depth, given ? DepthPass : DepthByNamePass, given);
            }
            if (slot.Motion != null && sources.MotionKind != SourceKind.Missing)
            {
                bool given = sources.MotionKind == SourceKind.Given;
                int byName = sources.BuiltIn ? MotionBuiltInPass : MotionUniversalPass;
                Draw(cmd, sources.Motion, slot.Motion, given ? MotionPass : byName, given);
            }
        }

        /// <inheritdoc/>
        public void Dispose()
        {
            UnityEngine.Object.Destroy(_material);
        }

        private void SetKeyword(bool arrays)
        {
            if (arrays) _material.EnableKeyword("C2R_ARRAY");
            else _material.DisableKeyword("C2R_ARRAY");
        }

        private void Describe(
            CaptureSlot slot, ref CaptureSources sources, Camera camera, bool topFirst)
        {
            bool linear = QualitySettings.activeColorSpace == ColorSpace.Linear;
            float reset = slot.Frame.Reset == C2RReset.None ? 0f : 1f;
            _block.SetVector(Scale, sources.Scale);
            _block.SetFloat(Flip, topFirst ? 0f : 1f);
            _block.SetFloat(Encode, linear ? 1f : 0f);
            _block.SetVector(
                Planes, new Vector4(camera.nearClipPlane, camera.farClipPlane, 1f, 0f));
            _block.SetVector(
                Size, new Vector4(slot.Frame.Width, slot.Frame.Height, reset, slot.MotionStretch));
        }

        private void Draw(
            CommandBuffer cmd, RenderTargetIdentifier source, RenderTexture target, int pass, bool given)
        {
            if (given) cmd.SetGlobalTexture(Source, source);
            cmd.SetRenderTarget(target);
            cmd.DrawProcedural(
                Matrix4x4.identity, _material, pass, MeshTopology.Triangles, 3, 1, _block);
        }
    }
}
