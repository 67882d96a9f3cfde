using System;

namespace C2R
{
    /// <summary>Where the connection to the renderer stands.</summary>
    public enum C2RState
    {
        /// <summary>The component is disabled, or not in play mode.</summary>
        Off = 0,

        /// <summary>Looking for the server.</summary>
        Connecting = 1,

        /// <summary>The server is loading or full; the session starts when there is room.</summary>
        Queued = 2,

        /// <summary>Frames go out and pictures come in.</summary>
        Streaming = 3,

        /// <summary>The connection broke; a new one is tried, the session is resumed.</summary>
        Reconnecting = 4,

        /// <summary>The session was ended.</summary>
        Closed = 5,

        /// <summary>
        /// It cannot work with these settings: the text says what to change. Tried again after a change of
        /// settings, and every <see cref="C2RSettings.retryAfterFailure"/> seconds.
        /// </summary>
        Failed = 6
    }

    /// <summary>The kind of failure or refusal.</summary>
    public enum C2RError
    {
        None = 0,
        BadValue = -1,
        WrongTime = -2,
        NoMemory = -3,
        Full = -4,
        Unreachable = -5,
        Tls = -6,
        Token = -7,
        Version = -8,
        Refused = -9,
        Protocol = -10,
        Timeout = -11,
        Broken = -12,
        Unsupported = -13,
        TooLarge = -14,
        TakenOver = -15,

        /// <summary>The native library is missing or is another one.</summary>
        Library = -100,

        /// <summary>A file that the settings name cannot be read.</summary>
        File = -101
    }

    /// <summary>What frames carry besides colour.</summary>
    [Flags]
    public enum C2RSideChannels
    {
        None = 0,

        /// <summary>Metres along the camera's forward axis.</summary>
        Depth = 1,

        /// <summary>Where each pixel was in the frame before.</summary>
        Motion = 2,

        /// <summary>Place, axes and matrices of the camera.</summary>
        Camera = 4
    }

    /// <summary>Why a frame does not continue the one before; numbers as in renderer.proto.</summary>
    public enum C2RReset
    {
        None = -1,
        Unspecified = 0,
        Cut = 1,
        Teleport = 2,
        LevelLoad = 3,
        Resize = 4,
        Resume = 5,
        User = 6
    }

    /// <summary>Statistics of a session: Submitted = Rendered + Failed + Dropped + those still open.</summary>
    public struct C2RStatistics
    {
        /// <summary>Frames handed to the native client.</summary>
        public long Submitted;

        /// <summary>Frames that became pictures.</summary>
        public long Rendered;

        /// <summary>Frames that the server could not use.</summary>
        public long Failed;

        /// <summary>Frames that were dropped, for any reason.</summary>
        public long Dropped;

        /// <summary>Connections that were made.</summary>
        public int Connections;

        /// <summary>Pictures per second.</summary>
        public double Fps;

        /// <summary>From capture to the decoded picture, milliseconds: the median.</summary>
        public double LatencyP50Ms;

        /// <summary>The 99th percentile of the same.</summary>
        public double LatencyP99Ms;

        /// <summary>The server's time for one frame, milliseconds.</summary>
        public double ServerMs;
    }
}
