// What the plugin uses of URP 17 (Unity 6) and its core package. Nothing here does anything.
using System;
using UnityEngine.Rendering.RenderGraphModule;

namespace UnityEngine.Rendering
{
    public class UnsafeCommandBuffer { }
    public static class CommandBufferHelpers
    {
        public static CommandBuffer GetNativeCommandBuffer(UnsafeCommandBuffer commands) { return null; }
    }
    public class ContextItem { }
    public class ContextContainer { public T Get<T>() where T : ContextItem, new() { return new T(); } }
}

namespace UnityEngine.Rendering.RenderGraphModule
{
    [Flags]
    public enum AccessFlags { None = 0, Read = 1, Write = 2, ReadWrite = 3 }
    public struct TextureHandle
    {
        public static TextureHandle nullHandle { get { return new TextureHandle(); } }
        public bool IsValid() { return false; }
        public static implicit operator RenderTargetIdentifier(TextureHandle of) { return new RenderTargetIdentifier(); }
    }
    public class UnsafeGraphContext { public UnsafeCommandBuffer cmd; }
    public delegate void BaseRenderFunc<PassData, ContextType>(PassData data, ContextType context) where PassData : class, new();
    public interface IUnsafeRenderGraphBuilder : IDisposable
    {
        void UseTexture(TextureHandle texture, AccessFlags access);
        void AllowPassCulling(bool value);
        void AllowGlobalStateModification(bool value);
        void SetRenderFunc<PassData>(BaseRenderFunc<PassData, UnsafeGraphContext> render) where PassData : class, new();
    }
    public class RenderGraph
    {
        public IUnsafeRenderGraphBuilder AddUnsafePass<PassData>(string name, out PassData data) where PassData : class, new()
        {
            data = new PassData();
            return null;
        }
    }
}

namespace UnityEngine.Rendering.Universal
{
    public enum RenderPassEvent { AfterRenderingPostProcessing = 600 }
    [Flags]
    public enum ScriptableRenderPassInput { None = 0, Depth = 1, Normal = 2, Color = 4, Motion = 8 }
    public class ScriptableRenderer { public void EnqueuePass(ScriptableRenderPass pass) { } }
    public struct CameraData
    {
        public Camera camera { get { return null; } }
        public CameraType cameraType { get { return CameraType.Game; } }
    }
    public struct RenderingData { public CameraData cameraData { get { return new CameraData(); } } }
    public class UniversalResourceData : ContextItem
    {
        public bool isActiveTargetBackBuffer { get { return false; } }
        public TextureHandle activeColorTexture { get { return new TextureHandle(); } }
        public TextureHandle cameraDepthTexture { get { return new TextureHandle(); } }
        public TextureHandle motionVectorColor { get { return new TextureHandle(); } }
    }
    public abstract class ScriptableRenderPass
    {
        public RenderPassEvent renderPassEvent { get; set; }
        public bool requiresIntermediateTexture { get; set; }
        public void ConfigureInput(ScriptableRenderPassInput needs) { }
        public virtual void RecordRenderGraph(RenderGraph renderGraph, ContextContainer frameData) { }
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
