using System;
using System.Runtime.InteropServices;

// The structures that go into the native client, field by field as in c2r_types.h. All are
// blittable, so that nothing is marshalled on the way, with Mono as with IL2CPP.
namespace C2R.Interop
{
    /// <summary><c>c2r_options</c>: where the server is, and the timeouts.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct NativeOptions
    {
        public uint StructSize;
        public int Tls;
        public IntPtr Address;
        public IntPtr RootCa;
        public IntPtr ClientCert;
        public IntPtr ClientKey;
        public IntPtr ServerName;
        public IntPtr Token;
        public IntPtr OwnTls;
        public double ConnectS;
        public double SilenceS;
        public double StuckS;
        public double FeedbackS;
        public double RetryFirstS;
        public double RetryMostS;
        public double GiveUpS;
        public double KeepaliveS;
        public double KeepaliveAnswerS;
    }

    /// <summary><c>c2r_session</c>: the session that is asked for.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct NativeSession
    {
        public uint StructSize;
        public uint Width;
        public uint Height;
        public int HasSeed;
        public double Fps;
        public IntPtr Prompt;
        public IntPtr NegativePrompt;
        public double Strength;
        public ulong Seed;
        public uint SideChannels;
        public fixed uint CoarseCodecs[4];
        public fixed uint PictureCodecs[4];
        public uint PicturePixels;
        public uint PictureRows;
        public uint Reserved;
        public IntPtr Client;
    }

    /// <summary><c>c2r_control</c>: a change of what is rendered.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct NativeControl
    {
        public uint StructSize;
        public uint BlendChunks;
        public IntPtr Prompt;
        public IntPtr NegativePrompt;
        public int HasStrength;
        public int HasSeed;
        public double Strength;
        public ulong Seed;
    }

    /// <summary><c>c2r_image</c>: a rectangle of values in the caller's memory, read during the call.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct NativeImage
    {
        public IntPtr Data;
        public uint Width;
        public uint Height;
        public uint RowBytes;
        public uint Rows;
    }

    /// <summary>
    /// <c>c2r_camera</c>: metres and radians; matrices row after row, for row vectors, D3D clip space.
    /// </summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct NativeCamera
    {
        public fixed double Position[3];
        public fixed double Right[3];
        public fixed double Up[3];
        public fixed double Forward[3];
        public double FovY;
        public fixed double ViewToClip[16];
        public fixed double ClipToPrevClip[16];
    }

    /// <summary><c>c2r_frame</c>: one captured frame.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct NativeFrame
    {
        public uint StructSize;
        public int Reset;
        public ulong FrameId;
        public ulong CaptureTimeUs;
        public double FrameDeltaMs;
        public NativeImage Colour;
        public uint Pixels;
        public uint DepthFormat;
        public NativeImage Depth;
        public double MetersPerUnit;
        public int DeviceDepth;
        public int DepthInverted;
        public int DepthInfinite;
        public int Reserved;
        public double NearPlane;
        public double FarPlane;
        public double ViewSpaceToMeters;
        public NativeImage Motion;
        public NativeCamera* Camera;
        public double JitterX;
        public double JitterY;
        public double PreExposure;
    }
}
