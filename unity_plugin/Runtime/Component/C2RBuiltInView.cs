using C2R.Internal;
using UnityEngine;
using UnityEngine.Rendering;

namespace C2R
{
    /// <summary>
    /// For the built-in pipeline: the camera's last image effect. <see cref="C2RRenderer"/> adds it
    /// where no scriptable pipeline is in use; overlay canvases are drawn after it.
    /// </summary>
    [AddComponentMenu("")]
    [RequireComponent(typeof(C2RRenderer))]
    public sealed class C2RBuiltInView : MonoBehaviour
    {
        private C2RRenderer _renderer;
        private Camera _camera;
        private CommandBuffer _commands;

        /// <summary>Puts one on an object that has none.</summary>
        internal static void AttachTo(GameObject view)
        {
            if (view.GetComponent<C2RBuiltInView>() != null) return;
            view.AddComponent<C2RBuiltInView>().hideFlags = HideFlags.DontSave;
        }

        private void OnEnable()
        {
            _renderer = GetComponent<C2RRenderer>();
            _camera = GetComponent<Camera>();
            _commands = new CommandBuffer { name = "C2R" };
        }

        private void OnDisable()
        {
            _commands.Release();
        }

        private void OnPreCull()
        {
            if ((_renderer.Channels & C2RSideChannels.Depth) != 0)
                _camera.depthTextureMode |= DepthTextureMode.Depth;
            if ((_renderer.Channels & C2RSideChannels.Motion) != 0)
                _camera.depthTextureMode |= DepthTextureMode.Depth | DepthTextureMode.MotionVectors;
        }

        private void OnRenderImage(RenderTexture source, RenderTexture target)
        {
            var sources = new CaptureSources
            {
                Colour = source,
                DepthKind = SourceKind.ByName,
                MotionKind = SourceKind.ByName,
                BuiltIn = true,
                Scale = Vector2.one
            };
            _commands.Clear();
            _renderer.Capture(_commands, ref sources);
            Graphics.ExecuteCommandBuffer(_commands);
            // Unity's own blit knows whether the target is the screen, and which way up that is.
            if (_renderer.ShowsPicture) Graphics.Blit(_renderer.PictureTexture, target);
            else Graphics.Blit(source, target);
        }
    }
}
