using System;
using UnityEngine;
using UnityEngine.Experimental.Rendering;
using UnityEngine.Rendering;

namespace C2R.Internal
{
    /// <summary>The texture that holds the shown picture, and its drawing over a camera's colour.</summary>
    internal sealed class PictureScreen : IDisposable
    {
        private const string ShaderName = "C2R/C2RPresent";

        private static readonly int PictureId = Shader.PropertyToID("_C2RPicture");

        private readonly Material _material;

        public PictureScreen()
        {
            _material = new Material(Resources.Load<Shader>(ShaderName))
            {
                hideFlags = HideFlags.HideAndDontSave
            };
        }

        /// <summary>The picture; null before the first.</summary>
        public Texture2D Texture { get; private set; }

        /// <summary>Uploads a picture.</summary>
        public void Load(Picture picture)
        {
            if (Texture == null || Texture.width != picture.Width || Texture.height != picture.Height)
                Make(picture.Width, picture.Height);
            Texture.LoadRawTextureData(picture.Pixels);
            Texture.Apply(false);
        }

        /// <summary>
        /// Records the drawing of the picture over a target, or over the part of it that is used;
        /// (0, 0) is all.
        /// </summary>
        public void Record(CommandBuffer cmd, RenderTargetIdentifier target, Vector2Int viewport)
        {
            cmd.SetGlobalTexture(PictureId, Texture);
            // HDRP's target is a texture array: only slice 0 is shown.
            cmd.SetRenderTarget(target, 0, CubemapFace.Unknown, 0);
            if (viewport.x > 0) cmd.SetViewport(new Rect(0, 0, viewport.x, viewport.y));
            cmd.DrawProcedural(Matrix4x4.identity, _material, 0, MeshTopology.Triangles, 3);
        }

        /// <inheritdoc/>
        public void Dispose()
        {
            Drop();
            UnityEngine.Object.Destroy(_material);
        }

        private void Make(int width, int height)
        {
            Drop();
            bool linear = QualitySettings.activeColorSpace == ColorSpace.Linear;
            GraphicsFormat format = linear ? GraphicsFormat.R8G8B8A8_SRGB : GraphicsFormat.R8G8B8A8_UNorm;
            Texture = new Texture2D(width, height, format, TextureCreationFlags.None)
            {
                name = "C2R picture",
                hideFlags = HideFlags.HideAndDontSave,
                wrapMode = TextureWrapMode.Clamp
            };
        }

        private void Drop()
        {
            if (Texture != null) UnityEngine.Object.Destroy(Texture);
            Texture = null;
        }
    }
}
