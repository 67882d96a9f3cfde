using System;
using System.Runtime.InteropServices;

// The structures that come out of the native client, field by field as in c2r_types.h.
namespace C2R.Interop
{
    /// <summary>Lengths of the texts inside the structures, bytes.</summary>
    internal static class NativeLengths
    {
        public const int Text = 512;
        public const int Field = 64;
        public const int Name = 128;
        public const int DropReasons = 6;
    }

    /// <summary><c>c2r_stages</c>: the server's milliseconds for one frame.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct NativeStages
    {
        public double DecodeMs;
        public double QueueMs;
        public double DinoMs;
        public double AdapterMs;
        public double DenoiseMs;
        public double VaeMs;
        public double EncodeMs;
        public double KvWriteMs;
        public double TotalMs;
    }

    /// <summary><c>c2r_result</c>: the outcome of one frame.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct NativeResult
    {
        public uint StructSize;
        public int Outcome;
        public ulong FrameId;
        public ulong CaptureTimeUs;
        public int Drop;
        public int Fault;
        public ulong ChunkIndex;
        public IntPtr Picture;
        public uint Width;
        public uint Height;
        public uint RowBytes;
        public uint Pixels;
        public NativeStages Stages;
        public double LatencyMs;
        public fixed byte Message[NativeLengths.Text];
        public fixed byte Field[NativeLengths.Field];
    }

    /// <summary><c>c2r_event</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct NativeEvent
    {
        public uint StructSize;
        public int Kind;
        public int Number;
        public int Refused;
        public ulong ControlId;
        public ulong FrameId;
        public uint BlendChunks;
        public uint Reserved;
        public fixed byte Text[NativeLengths.Text];
    }

    /// <summary><c>c2r_status</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct NativeStatus
    {
        public uint StructSize;
        public int State;
        public int Error;
        public int GrpcStatus;
        public uint QueuePosition;
        public uint Reserved;
        public double RetryInS;
        public fixed byte Text[NativeLengths.Text];
    }

    /// <summary><c>c2r_accepted</c>: what the session was granted.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct NativeAccepted
    {
        public uint StructSize;
        public uint Width;
        public uint Height;
        public uint ChunkLatents;
        public uint FirstChunkFrames;
        public uint ChunkFrames;
        public uint MaxInFlightChunks;
        public uint CoarseCodec;
        public uint PlaneCodec;
        public uint PictureCodec;
        public uint SideChannels;
        public int Resumed;
        public double Fps;
        public double Strength;
        public double ResumeGraceS;
        public ulong Seed;
        public uint MaxMessageBytes;
        public uint Reserved;
        public fixed byte SessionId[NativeLengths.Name];
        public fixed byte Server[NativeLengths.Name];
    }

    /// <summary><c>c2r_stats</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct NativeStats
    {
        public uint StructSize;
        public uint Connections;
        public ulong Submitted;
        public ulong Sent;
        public ulong Rendered;
        public ulong Failed;
        public ulong Stray;
        public fixed ulong Dropped[NativeLengths.DropReasons];
        public ulong BytesSent;
        public ulong BytesReceived;
        public double FpsIn;
        public double FpsOut;
        public double FpsSteady;
        public double LatencyP50Ms;
        public double LatencyP90Ms;
        public double LatencyP99Ms;
        public double DecodeMs;
        public double FirstPictureMs;
        public NativeStages Stages;
    }
}
