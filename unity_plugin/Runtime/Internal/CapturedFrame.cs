using System;
using C2R.Interop;

namespace C2R.Internal
{
    /// <summary>
    /// One captured frame in canonical form. Pointers are to rows from the top, packed: colour RGBA
    /// 8-bit sRGB, depth float metres, motion two halves in pixels; zero where there is none.
    /// </summary>
    internal struct CapturedFrame
    {
        public IntPtr Colour;
        public IntPtr Depth;
        public IntPtr Motion;
        public int Width;
        public int Height;
        public C2RReset Reset;
        public long CaptureUs;
        public double DeltaMs;
        public bool HasCamera;
        public NativeCamera Camera;
    }
}
