// What the plugin uses of URP 14 (Unity 2022.3) and its core package. Nothing here does anything.
using System;

namespace UnityEngine.Rendering
{
    public class RTHandle
    {
        public RenderTexture rt { get { return null; } }
        public RenderTargetIdentifier nameID { get { return new RenderTargetIdentifier(); } }
    }

    public static class CommandBufferPool
    {
        public static CommandBuffer Get(string name) { return new CommandBuffer { name = name }; }
        public static void Release(CommandBuffer commands) { }
    }
}

namespace UnityEngine.Rendering.Universal
{
    public enum RenderPassEvent { AfterRenderingPostProcessing = 600 }
    [Flags]
    public enum ScriptableRenderPassInput { None = 0, Depth = 1, Normal = 2, Color = 4, Motion = 8 }
    public class ScriptableRenderer
    {
        public RTHandle cameraColorTargetHandle { get { return null; } }
        public void EnqueuePass(ScriptableRenderPass pass) { }
    }
    public struct CameraData
    {
        public Camera camera;
        public CameraType cameraType;
        public ScriptableRenderer renderer;
    }
    public struct RenderingData { public CameraData cameraData; }
    public abstract class ScriptableRenderPass
    {
        public RenderPassEvent renderPassEvent { get; set; }
        public void ConfigureInput(ScriptableRenderPassInput needs) { }
        public abstract void Execute(ScriptableRenderContext context, ref RenderingData renderingData);
    }
    public abstract class ScriptableRendererFeature
    {
        public abstract void Create();
        public abstract void AddRenderPasses(ScriptableRenderer renderer, ref RenderingData renderingData);
    }
    public sealed class DisallowMultipleRendererFeature : Attribute
    {
        public DisallowMultipleRendererFeature(string name) { }
    }
}
