// Textures and command buffers on the CPU. Row 0 of the memory is the bottom of an image, as in
// Unity. Shaders are functions that a program registers; drawing calls them.
using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.InteropServices;
using UnityEngine.Experimental.Rendering;
using UnityEngine.Headless;
using UnityEngine.Rendering;

namespace UnityEngine
{
    public enum FilterMode { Point, Bilinear }
    public enum TextureWrapMode { Repeat, Clamp }
    public enum TextureFormat { RGBA32 = 4, RFloat = 18, RGHalf = 16 }
    public enum CubemapFace { Unknown = -1 }
    public enum MeshTopology { Triangles = 0 }
    public enum ColorSpace { Gamma, Linear }

    public static class QualitySettings
    {
        public static ColorSpace activeColorSpace = ColorSpace.Linear;
    }

    public class Texture : Object
    {
        internal static int Live;
        public int width { get; protected set; }
        public int height { get; protected set; }
        public FilterMode filterMode { get; set; }
        public TextureWrapMode wrapMode { get; set; }
    }

    public sealed class Texture2D : Texture
    {
        public byte[] Pixels = new byte[0];
        public int Uploads;
        public Texture2D(int width, int height, GraphicsFormat format, TextureCreationFlags flags)
        {
            this.width = width;
            this.height = height;
            Live++;
        }
        public void LoadRawTextureData(byte[] data)
        {
            if (data.Length != width * height * 4) throw new ArgumentException("wrong size");
            Pixels = (byte[])data.Clone();
        }
        public void Apply(bool mipmaps) { Uploads++; }
        public void SetPixel(int x, int y, Color color) { throw new NotSupportedException("only real cards read it"); }
        internal override void OnDestroyed() { Live--; }
    }

    public sealed class RenderTexture : Texture
    {
        // Four floats a pixel.
        public readonly float[] Texels;
        public readonly GraphicsFormat Format;
        public RenderTexture(int width, int height, int depth, GraphicsFormat format)
        {
            this.width = width;
            this.height = height;
            Format = format;
            Texels = new float[width * height * 4];
            Live++;
        }
        public bool useMipMap { get; set; }
        public UnityEngine.Rendering.TextureDimension dimension { get; set; }
        public bool Create() { return true; }
        public void Release() { }
        internal override void OnDestroyed() { Live--; }
    }

    public sealed class Shader : Object
    {
        private static readonly Dictionary<string, int> Ids = new Dictionary<string, int>();
        internal static readonly Dictionary<int, Texture> Globals = new Dictionary<int, Texture>();
        public static int PropertyToID(string name)
        {
            int id;
            if (!Ids.TryGetValue(name, out id)) Ids[name] = id = Ids.Count + 1;
            return id;
        }
        public static void SetGlobalTexture(string name, Texture value) { Globals[PropertyToID(name)] = value; }
        public static Shader Find(string name) { return new Shader { name = name }; }
    }

    public sealed class Material : Object
    {
        internal static int Live;
        public readonly HashSet<string> Keywords = new HashSet<string>();
        public Material(Shader shader)
        {
            if (shader == null) throw new ArgumentNullException("shader");
            this.shader = shader;
            Live++;
        }
        public Shader shader { get; private set; }
        public Color color { get; set; }
        public void EnableKeyword(string keyword) { Keywords.Add(keyword); }
        public void DisableKeyword(string keyword) { Keywords.Remove(keyword); }
        public void SetColor(string name, Color value) { color = value; }
        public bool HasProperty(string name) { return true; }
        internal override void OnDestroyed() { Live--; }
    }

    public sealed class MaterialPropertyBlock
    {
        internal Dictionary<int, Vector4> Values = new Dictionary<int, Vector4>();
        public void SetVector(int id, Vector4 value) { Values[id] = value; }
        public void SetFloat(int id, float value) { Values[id] = new Vector4(value, 0, 0, 0); }
        internal MaterialPropertyBlock Copy()
        {
            return new MaterialPropertyBlock { Values = new Dictionary<int, Vector4>(Values) };
        }
    }

    public sealed class TextAsset : Object { public string text { get; private set; } }

    public static class Resources
    {
        // As in Unity: from the package's folders of that name.
        public static T Load<T>(string path) where T : Object
        {
            string file = Path.Combine(Player.Package, "Runtime/Shaders/Resources", path + ".shader");
            return File.Exists(file) ? (T)(Object)new Shader { name = path } : null;
        }
    }

    public static class Graphics
    {
        public static void ExecuteCommandBuffer(CommandBuffer commands) { commands.Execute(); }
        public static void Blit(Texture source, RenderTexture target)
        {
            if (target != null) throw new NotSupportedException("the last effect draws to the screen");
            Player.OnScreen = source;
        }
    }

    public static class SystemInfo
    {
        public static bool supportsAsyncGPUReadback { get { return UnityEngine.Headless.Player.ReadsBack; } }
        public static UnityEngine.Rendering.GraphicsDeviceType graphicsDeviceType { get { return UnityEngine.Rendering.GraphicsDeviceType.Null; } }
    }
}

namespace UnityEngine.Experimental.Rendering
{
    public enum GraphicsFormat { R8G8B8A8_SRGB = 4, R8G8B8A8_UNorm = 8, R16G16_SFloat = 46, R32_SFloat = 49, R32G32B32A32_SFloat = 52 }
    [Flags]
    public enum TextureCreationFlags { None = 0 }
}

namespace UnityEngine.Rendering
{
    public struct RenderTargetIdentifier
    {
        internal Texture Of;
        public static implicit operator RenderTargetIdentifier(Texture of) { return new RenderTargetIdentifier { Of = of }; }
    }

    public enum GraphicsDeviceType { Null = 4 }
    public enum TextureDimension { Tex2D = 2, Tex2DArray = 5 }
    public class RenderPipelineAsset : Object { public virtual Shader defaultShader { get { return null; } } }
    public struct ScriptableRenderContext { public void ExecuteCommandBuffer(CommandBuffer commands) { } }
    public static class GraphicsSettings
    {
        public static RenderPipelineAsset currentRenderPipeline { get; set; }
    }

    public sealed class CommandBuffer
    {
        private readonly List<Action> _commands = new List<Action>();
        private Texture _target;
        public string name { get; set; }
        public void Clear() { _commands.Clear(); }
        public void Release() { _commands.Clear(); }
        public void SetGlobalTexture(int id, RenderTargetIdentifier source)
        {
            _commands.Add(() => Shader.Globals[id] = source.Of);
        }
        public void SetRenderTarget(RenderTargetIdentifier target) { _commands.Add(() => _target = target.Of); }
        public void SetRenderTarget(RenderTargetIdentifier target, int mip, CubemapFace face, int slice) { SetRenderTarget(target); }
        public void SetViewport(Rect pixels) { }
        public void DrawProcedural(
            Matrix4x4 matrix, Material material, int pass, MeshTopology topology, int vertices,
            int instances = 1, MaterialPropertyBlock block = null)
        {
            MaterialPropertyBlock given = block == null ? new MaterialPropertyBlock() : block.Copy();
            _commands.Add(() => Player.Draw(material.shader.name, pass, given, _target));
        }
        public void RequestAsyncReadbackIntoNativeArray<T>(
            ref Unity.Collections.NativeArray<T> output, Texture source, int mip, TextureFormat format,
            Action<AsyncGPUReadbackRequest> callback) where T : struct
        {
            Unity.Collections.NativeArray<T> into = output;
            _commands.Add(() => AsyncGPUReadback.Begin(into.Memory, into.Bytes, (RenderTexture)source, format, callback));
        }
        internal void Execute() { foreach (Action one in _commands) one(); }
    }

    public struct AsyncGPUReadbackRequest
    {
        public bool hasError { get; internal set; }
        public bool done { get { return true; } }
    }

    public static class AsyncGPUReadback
    {
        private sealed class Reading
        {
            public byte[] Data;
            public IntPtr Into;
            public int Due;
            public Action<AsyncGPUReadbackRequest> Callback;
        }
        private static readonly List<Reading> Readings = new List<Reading>();

        /// <summary>The next readings fail.</summary>
        public static int Faults;

        public static void WaitAllRequests() { Finish(int.MaxValue); }

        // As on a card: what the texture holds now comes back some frames later.
        internal static void Begin(
            IntPtr into, int bytes, RenderTexture source, TextureFormat format, Action<AsyncGPUReadbackRequest> callback)
        {
            byte[] data = Pack(source, format);
            if (data.Length != bytes) throw new ArgumentException("wrong size");
            Readings.Add(new Reading { Data = data, Into = into, Due = Time.frameCount + 2, Callback = callback });
        }

        internal static void Finish(int frame)
        {
            while (Readings.Count > 0 && Readings[0].Due <= frame)
            {
                Reading one = Readings[0];
                Readings.RemoveAt(0);
                bool fault = Faults > 0;
                if (fault) Faults--;
                else Marshal.Copy(one.Data, 0, one.Into, one.Data.Length);
                one.Callback(new AsyncGPUReadbackRequest { hasError = fault });
            }
        }

        private static byte[] Pack(RenderTexture source, TextureFormat format)
        {
            int pixels = source.width * source.height;
            var data = new byte[pixels * 4];
            for (int i = 0; i < pixels; i++)
            {
                for (int c = 0; c < 4 && format == TextureFormat.RGBA32; c++)
                    data[4 * i + c] = (byte)Math.Floor(source.Texels[4 * i + c] * 255f + 0.5f);
                if (format == TextureFormat.RFloat)
                    BitConverter.GetBytes(source.Texels[4 * i]).CopyTo(data, 4 * i);
                for (int c = 0; c < 2 && format == TextureFormat.RGHalf; c++)
                    BitConverter.GetBytes(Mathf.FloatToHalf(source.Texels[4 * i + c])).CopyTo(data, 4 * i + 2 * c);
            }
            return data;
        }
    }
}

namespace Unity.Collections
{
    public enum Allocator { Persistent = 4 }
    public struct NativeArray<T> : IDisposable where T : struct
    {
        public static int Live;
        internal IntPtr Memory;
        internal int Bytes;
        public NativeArray(int length, Allocator allocator)
        {
            Bytes = length * Marshal.SizeOf(typeof(T));
            Memory = Marshal.AllocHGlobal(Bytes);
            Live++;
        }
        public bool IsCreated { get { return Memory != IntPtr.Zero; } }
        public void Dispose()
        {
            Marshal.FreeHGlobal(Memory);
            Memory = IntPtr.Zero;
            Live--;
        }
    }
}

namespace Unity.Collections.LowLevel.Unsafe
{
    public static unsafe class NativeArrayUnsafeUtility
    {
        public static void* GetUnsafeReadOnlyPtr<T>(NativeArray<T> array) where T : struct { return (void*)array.Memory; }
    }
}
