// What the plugin uses of HDRP 14 to 17 and its core package. Nothing here does anything.
namespace UnityEngine.Rendering
{
    public class RTHandle
    {
        public RenderTexture rt { get { return null; } }
        public RenderTargetIdentifier nameID { get { return new RenderTargetIdentifier(); } }
    }
    public struct RTHandleProperties { public Vector4 rtHandleScale; }
    public static class RTHandles
    {
        public static RTHandleProperties rtHandleProperties { get { return new RTHandleProperties(); } }
    }
}

namespace UnityEngine.Rendering.HighDefinition
{
    public class HDCamera
    {
        public Camera camera;
        public int actualWidth { get { return 0; } }
        public int actualHeight { get { return 0; } }
    }
    public struct CustomPassContext
    {
        public readonly CommandBuffer cmd;
        public readonly HDCamera hdCamera;
        public readonly RTHandle cameraColorBuffer;
        public readonly RTHandle cameraDepthBuffer;
        public readonly RTHandle cameraMotionVectorsBuffer;
    }
    public abstract class CustomPass
    {
        protected virtual void Execute(CustomPassContext ctx) { }
    }
}
