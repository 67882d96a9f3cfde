using System;
using C2R.Interop;

namespace C2R.Internal
{
    /// <summary>
    /// One session with the server: frames in, pictures out, status texts. For the game's thread only;
    /// nothing in it waits. Knows nothing of cameras or textures.
    /// </summary>
    internal sealed unsafe class RenderSession : IDisposable
    {
        /// <summary>
        /// The most pictures that one update copies: a chunk comes at once, and copying all of it in one
        /// frame of the game would be a visible hitch. More than one only where the game is slower than
        /// the pictures.
        /// </summary>
        private const int PicturesAtOnce = 4;

        private const double CatchUp = 1.5;

        private readonly double _framesPerUs;
        private readonly NativeClient _client;
        private readonly PictureQueue _pictures;
        private readonly byte[] _text = new byte[NativeLengths.Text];
        private NativeResult _result;
        private NativeStatus _status;
        private NativeStats _stats;
        private NativeEvent _event;
        private ulong _nextId;
        private long _updatedUs;

        /// <summary>Starts to connect; errors as for <see cref="SessionOptions.Connect"/>.</summary>
        public RenderSession(C2RSettings settings, PictureQueue pictures)
        {
            _pictures = pictures;
            _framesPerUs = settings.framesPerSecond / 1e6;
            _client = SessionOptions.Connect(settings);
            State = C2RState.Connecting;
            Text = "connecting to " + settings.server;
        }

        /// <summary>Where it stands.</summary>
        public C2RState State { get; private set; }

        /// <summary>What broke or failed.</summary>
        public C2RError Error { get; private set; }

        /// <summary>The state as text: what is wrong and what to do.</summary>
        public string Text { get; private set; }

        /// <summary>The last warning, refused change or failed frame as text; or null.</summary>
        public string Notice { get; private set; }

        /// <summary>Whether it is over for good.</summary>
        public bool Final
        {
            get { return State == C2RState.Failed || State == C2RState.Closed; }
        }

        /// <summary>Whether a frame submitted now would be sent without replacing another.</summary>
        public bool HasRoom
        {
            get { return _client.HasRoom; }
        }

        /// <summary>Reads status, events and outcomes; once per frame of the game.</summary>
        public void Update()
        {
            ReadStatus();
            while (_client.PollEvent(ref _event)) ReadEvent();
            ReadOutcomes();
        }

        /// <summary>Hands a frame over. False when it was refused; <see cref="Notice"/> says why.</summary>
        public bool Submit(ref CapturedFrame captured)
        {
            NativeFrame frame;
            NativeMethods.c2r_init_frame(&frame);
            frame.FrameId = _nextId;
            frame.CaptureTimeUs = (ulong)captured.CaptureUs;
            frame.FrameDeltaMs = captured.DeltaMs;
            frame.Reset = (int)captured.Reset;
            frame.Pixels = (uint)NativePixels.Rgba8;
            frame.DepthFormat = (uint)NativeDepthFormat.F32;
            frame.Colour = Image(captured.Colour, ref captured);
            frame.Depth = Image(captured.Depth, ref captured);
            frame.Motion = Image(captured.Motion, ref captured);
            NativeCode code;
            fixed (NativeCamera* camera = &captured.Camera)
            {
                if (captured.HasCamera) frame.Camera = camera;
                code = _client.Submit(ref frame);
            }
            if (code == NativeCode.Ok)
            {
                _nextId++;
                return true;
            }
            Notice = "frame " + _nextId + ": " + NativeText.Read(NativeMethods.c2r_last_error());
            return false;
        }

        /// <summary>Changes what is rendered; null leaves a value as it is.</summary>
        public void SetControl(string prompt, string negativePrompt, double? strength, long? seed)
        {
            try
            {
                _client.SetControl(prompt, negativePrompt, strength, seed);
            }
            catch (NativeException error)
            {
                Notice = "the change was refused: " + error.Message;
            }
        }

        /// <summary>Tells the server what is on the screen.</summary>
        public void ReportShown(Picture shown)
        {
            double waiting = _pictures.Count == 0 ? 0 : _pictures.DelayUs / 1000.0;
            _client.ReportShown(shown.FrameId, shown.CaptureUs, waiting);
        }

        /// <summary>Current statistics.</summary>
        public C2RStatistics Statistics()
        {
            _client.GetStats(ref _stats);
            long dropped = 0;
            fixed (ulong* reasons = _stats.Dropped)
            {
                for (int i = 0; i < NativeLengths.DropReasons; i++) dropped += (long)reasons[i];
            }
            return new C2RStatistics
            {
                Submitted = (long)_stats.Submitted,
                Rendered = (long)_stats.Rendered,
                Failed = (long)_stats.Failed,
                Dropped = dropped,
                Connections = (int)_stats.Connections,
                Fps = _stats.FpsOut,
                LatencyP50Ms = _stats.LatencyP50Ms,
                LatencyP99Ms = _stats.LatencyP99Ms,
                ServerMs = _stats.Stages.TotalMs
            };
        }

        /// <summary>Ends the session politely; read on with <see cref="Update"/> until it is final.</summary>
        public void Close(double timeoutS)
        {
            _client.Close(false, timeoutS);
        }

        /// <summary>Ends the session now and joins the client's thread.</summary>
        public void Dispose()
        {
            _client.Close(true, 0);
            _client.Dispose();
            State = C2RState.Off;
        }

        private static NativeImage Image(IntPtr data, ref CapturedFrame captured)
        {
            return new NativeImage
            {
                Data = data,
                Width = data == IntPtr.Zero ? 0 : (uint)captured.Width,
                Height = data == IntPtr.Zero ? 0 : (uint)captured.Height,
                Rows = (uint)NativeRows.TopFirst
            };
        }

        private void ReadStatus()
        {
            _client.GetStatus(ref _status);
            State = (C2RState)_status.State;
            Error = (C2RError)_status.Error;
            fixed (byte* text = _status.Text)
            {
                // Compared first: a new string per frame would be garbage for the collector.
                if (NativeText.Same(text, _text, NativeLengths.Text)) return;
                for (int i = 0; i < NativeLengths.Text; i++) _text[i] = text[i];
                Text = NativeText.Read(text, NativeLengths.Text);
            }
        }

        private void ReadEvent()
        {
            bool refused = _event.Kind == (int)NativeEventKind.Acknowledgement && _event.Refused != 0;
            if (_event.Kind != (int)NativeEventKind.Warning && !refused) return;
            fixed (byte* text = _event.Text)
            {
                string said = NativeText.Read(text, NativeLengths.Text);
                Notice = refused ? "the change was refused: " + said : said;
            }
        }

        private void ReadOutcomes()
        {
            long now = NativeClient.NowUs;
            double due = CatchUp * _framesPerUs * (now - _updatedUs);
            _updatedUs = now;
            int taken = 0, most = Math.Max(1, (int)Math.Min(PicturesAtOnce, due));
            while (taken < most && _client.Poll(ref _result))
            {
                var outcome = (NativeOutcome)_result.Outcome;
                if (outcome == NativeOutcome.Rendered)
                {
                    taken++;
                    _pictures.Add(
                        _result.Picture, (int)_result.Width, (int)_result.Height, (int)_result.RowBytes,
                        _result.FrameId, (long)_result.CaptureTimeUs, NativeClient.NowUs);
                }
                else if (outcome == NativeOutcome.Failed)
                {
                    NoteFailure();
                }
            }
        }

        private void NoteFailure()
        {
            fixed (byte* message = _result.Message)
            fixed (byte* field = _result.Field)
            {
                Notice = "frame " + _result.FrameId + " failed: "
                         + NativeText.Read(field, NativeLengths.Field) + " "
                         + NativeText.Read(message, NativeLengths.Text);
            }
        }
    }
}
