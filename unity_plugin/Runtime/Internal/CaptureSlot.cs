using System;
using Unity.Collections;
using Unity.Collections.LowLevel.Unsafe;
using UnityEngine;
using UnityEngine.Experimental.Rendering;
using UnityEngine.Rendering;

namespace C2R.Internal
{
    /// <summary>
    /// One captured frame on its way from the graphics card: the canonical textures, the memory they
    /// are read back into, and the number of readings under way. The memory is persistent and written
    /// by the graphics driver: it must not be freed or submitted while a reading is under way.
    /// </summary>
    internal sealed class CaptureSlot : IDisposable
    {
        private readonly Action<AsyncGPUReadbackRequest> _done;
        private NativeArray<byte> _colourBytes;
        private NativeArray<byte> _depthBytes;
        private NativeArray<byte> _motionBytes;
        private int _pending;
        private bool _failed;

        /// <summary>Textures of <paramref name="size"/>; depth and motion where they are asked for.</summary>
        public CaptureSlot(Vector2Int size, C2RSideChannels channels)
        {
            _done = OnRead;
            int pixels = size.x * size.y;
            Colour = Target(size, GraphicsFormat.R8G8B8A8_UNorm, "C2R colour");
            _colourBytes = new NativeArray<byte>(pixels * 4, Allocator.Persistent);
            if ((channels & C2RSideChannels.Depth) != 0)
            {
                Depth = Target(size, GraphicsFormat.R32_SFloat, "C2R depth");
                _depthBytes = new NativeArray<byte>(pixels * 4, Allocator.Persistent);
            }
            if ((channels & C2RSideChannels.Motion) != 0)
            {
                Motion = Target(size, GraphicsFormat.R16G16_SFloat, "C2R motion");
                _motionBytes = new NativeArray<byte>(pixels * 4, Allocator.Persistent);
            }
            Frame.Width = size.x;
            Frame.Height = size.y;
        }

        /// <summary>The frame's numbers; its pointers are filled by <see cref="Finish"/>.</summary>
        public CapturedFrame Frame;

        /// <summary>RGBA, 8-bit sRGB, row 0 is the top.</summary>
        public RenderTexture Colour { get; private set; }

        /// <summary>Metres; null without that channel.</summary>
        public RenderTexture Depth { get; private set; }

        /// <summary>Pixels; null without that channel.</summary>
        public RenderTexture Motion { get; private set; }

        /// <summary>All readings have come back.</summary>
        public bool Done
        {
            get { return _pending == 0; }
        }

        /// <summary>One of them has not worked: the frame cannot be used.</summary>
        public bool Failed
        {
            get { return _failed; }
        }

        /// <summary>Records the readings, behind what was recorded to draw the textures.</summary>
        public void Request(CommandBuffer cmd, bool depth, bool motion)
        {
            _failed = false;
            _pending = 1;
            cmd.RequestAsyncReadbackIntoNativeArray(
                ref _colourBytes, Colour, 0, TextureFormat.RGBA32, _done);
            HasDepth = depth && Depth != null;
            HasMotion = motion && Motion != null;
            if (HasDepth)
            {
                _pending++;
                cmd.RequestAsyncReadbackIntoNativeArray(
                    ref _depthBytes, Depth, 0, TextureFormat.RFloat, _done);
            }
            if (HasMotion)
            {
                _pending++;
                cmd.RequestAsyncReadbackIntoNativeArray(
                    ref _motionBytes, Motion, 0, TextureFormat.RGHalf, _done);
            }
        }

        /// <summary>See <see cref="Canonical.Stretch"/>.</summary>
        public float MotionStretch = 1f;

        /// <summary>Whether this frame has depth.</summary>
        public bool HasDepth { get; private set; }

        /// <summary>Whether this frame has motion.</summary>
        public bool HasMotion { get; private set; }

        /// <summary>Points the frame at the memory; only when <see cref="Done"/>.</summary>
        public unsafe void Finish()
        {
            Frame.Colour = (IntPtr)NativeArrayUnsafeUtility.GetUnsafeReadOnlyPtr(_colourBytes);
            Frame.Depth = HasDepth
                ? (IntPtr)NativeArrayUnsafeUtility.GetUnsafeReadOnlyPtr(_depthBytes)
                : IntPtr.Zero;
            Frame.Motion = HasMotion
                ? (IntPtr)NativeArrayUnsafeUtility.GetUnsafeReadOnlyPtr(_motionBytes)
                : IntPtr.Zero;
        }

        /// <summary>Frees everything; no reading may be under way.</summary>
        public void Dispose()
        {
            Free(Colour, ref _colourBytes);
            Free(Depth, ref _depthBytes);
            Free(Motion, ref _motionBytes);
        }

        private static RenderTexture Target(Vector2Int size, GraphicsFormat format, string name)
        {
            var target = new RenderTexture(size.x, size.y, 0, format)
            {
                name = name,
                hideFlags = HideFlags.HideAndDontSave,
                filterMode = FilterMode.Point,
                useMipMap = false
            };
            target.Create();
            return target;
        }

        private static void Free(RenderTexture texture, ref NativeArray<byte> bytes)
        {
            if (bytes.IsCreated) bytes.Dispose();
            if (texture == null) return;
            texture.Release();
            UnityEngine.Object.Destroy(texture);
        }

        private void OnRead(AsyncGPUReadbackRequest request)
        {
            if (request.hasError) _failed = true;
            _pending--;
        }
    }
}
