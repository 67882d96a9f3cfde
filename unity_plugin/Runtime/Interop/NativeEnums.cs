namespace C2R.Interop
{
    /// <summary>What a call of the native client returns (<c>c2r_code</c>); 0 or above is success.</summary>
    internal enum NativeCode
    {
        Ok = 0,
        Argument = -1,
        State = -2,
        Memory = -3,
        Full = -4,
        Unreachable = -5,
        Tls = -6,
        Auth = -7,
        Version = -8,
        Refused = -9,
        Protocol = -10,
        Timeout = -11,
        Broken = -12,
        Unsupported = -13,
        TooLarge = -14,
        TakenOver = -15
    }

    /// <summary><c>c2r_state</c>; the last two are final.</summary>
    internal enum NativeState
    {
        Idle = 0,
        Connecting = 1,
        Queued = 2,
        Streaming = 3,
        Reconnecting = 4,
        Closed = 5,
        Failed = 6
    }

    /// <summary><c>c2r_outcome</c>.</summary>
    internal enum NativeOutcome
    {
        Rendered = 1,
        Dropped = 2,
        Failed = 3
    }

    /// <summary><c>c2r_event_kind</c>.</summary>
    internal enum NativeEventKind
    {
        Status = 1,
        Warning = 2,
        Acknowledgement = 3
    }

    /// <summary><c>c2r_pixels</c>.</summary>
    internal enum NativePixels : uint
    {
        Rgb8 = 1,
        Rgba8 = 2,
        Bgra8 = 3
    }

    /// <summary><c>c2r_rows</c>.</summary>
    internal enum NativeRows : uint
    {
        TopFirst = 1,
        BottomFirst = 2
    }

    /// <summary><c>c2r_depth_format</c>, as far as this plugin sends it.</summary>
    internal enum NativeDepthFormat : uint
    {
        F16 = 1,
        F32 = 2
    }

    /// <summary><c>c2r_struct</c>: which structure's size is asked for.</summary>
    internal enum NativeStruct
    {
        Options = 1,
        Session = 2,
        Frame = 3,
        Result = 4,
        Control = 5,
        Event = 6,
        Status = 7,
        Accepted = 8,
        Stats = 9,
        Image = 10,
        Camera = 11,
        Stages = 12
    }
}
