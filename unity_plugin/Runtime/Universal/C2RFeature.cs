using UnityEngine;
using UnityEngine.Rendering.Universal;

namespace C2R.Universal
{
    /// <summary>
    /// Add it to the URP renderer that the camera uses. It captures what cameras with a
    /// <see cref="C2RRenderer"/> have drawn, after post-processing, and puts pictures in its place;
    /// overlay canvases are drawn after it.
    /// </summary>
    [DisallowMultipleRendererFeature("C2R")]
    public sealed class C2RFeature : ScriptableRendererFeature
    {
        private C2RPass _pass;

        /// <inheritdoc/>
        public override void Create()
        {
            _pass = new C2RPass { renderPassEvent = RenderPassEvent.AfterRenderingPostProcessing };
        }

        /// <inheritdoc/>
        public override void AddRenderPasses(ScriptableRenderer renderer, ref RenderingData renderingData)
        {
            Camera camera = renderingData.cameraData.camera;
            if (renderingData.cameraData.cameraType != CameraType.Game) return;
            C2RRenderer component = C2RRenderer.Of(camera);
            if (component == null) return;
            _pass.Prepare(component);
            renderer.EnqueuePass(_pass);
        }
    }
}
