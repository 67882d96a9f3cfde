using System;

namespace C2R.Interop
{
    /// <summary>One client of the native library, in C#'s types. No call waits for the network.</summary>
    internal sealed unsafe class NativeClient : IDisposable
    {
        private readonly ClientHandle _handle;

        /// <summary>Starts to connect; <c>NativeException</c> when a value is refused.</summary>
        public NativeClient(ref NativeOptions options, ref NativeSession session)
        {
            fixed (NativeOptions* given = &options) _handle = ClientHandle.Create(given);
            fixed (NativeSession* wanted = &session)
            {
                int code = NativeMethods.c2r_open(_handle.Pointer, wanted);
                if (code < 0) Refuse(code);
            }
        }

        /// <summary>Microseconds of the clock that capture times are measured with.</summary>
        public static long NowUs
        {
            get { return (long)NativeMethods.c2r_now_us(); }
        }

        /// <summary>Whether a frame submitted now would be sent without replacing another.</summary>
        public bool HasRoom
        {
            get { return NativeMethods.c2r_has_room(_handle.Pointer) == 1; }
        }

        /// <summary>Hands a frame over; its images are copied before this returns.</summary>
        public NativeCode Submit(ref NativeFrame frame)
        {
            fixed (NativeFrame* given = &frame)
                return (NativeCode)Math.Min(0, NativeMethods.c2r_submit(_handle.Pointer, given));
        }

        /// <summary>The next outcome in frame order; false when there is none now.</summary>
        public bool Poll(ref NativeResult result)
        {
            result.StructSize = (uint)sizeof(NativeResult);
            fixed (NativeResult* target = &result)
                return NativeMethods.c2r_poll(_handle.Pointer, target) == 1;
        }

        /// <summary>The next event; false when there is none now.</summary>
        public bool PollEvent(ref NativeEvent happened)
        {
            happened.StructSize = (uint)sizeof(NativeEvent);
            fixed (NativeEvent* target = &happened)
                return NativeMethods.c2r_poll_event(_handle.Pointer, target) == 1;
        }

        /// <summary>Changes what is rendered; <c>NativeException</c> when a value is refused.</summary>
        public void SetControl(string prompt, string negativePrompt, double? strength, long? seed)
        {
            NativeControl control;
            NativeMethods.c2r_init_control(&control);
            control.HasStrength = strength.HasValue ? 1 : 0;
            control.Strength = strength.GetValueOrDefault();
            control.HasSeed = seed.HasValue ? 1 : 0;
            control.Seed = (ulong)seed.GetValueOrDefault();
            using (var texts = new NativeTexts())
            {
                control.Prompt = texts.KeepEven(prompt);
                control.NegativePrompt = texts.KeepEven(negativePrompt);
                ulong id;
                NativeException.Require(
                    NativeMethods.c2r_set_control(_handle.Pointer, &control, &id));
            }
        }

        /// <summary>Reports to the server which picture is on the screen.</summary>
        public void ReportShown(ulong frameId, long captureUs, double bufferMs)
        {
            NativeMethods.c2r_report_shown(_handle.Pointer, frameId, (ulong)captureUs, bufferMs);
        }

        /// <summary>Where the client stands.</summary>
        public void GetStatus(ref NativeStatus status)
        {
            status.StructSize = (uint)sizeof(NativeStatus);
            fixed (NativeStatus* target = &status)
                NativeException.Require(NativeMethods.c2r_get_status(_handle.Pointer, target));
        }

        /// <summary>What the session was granted; false while there is none.</summary>
        public bool GetAccepted(ref NativeAccepted accepted)
        {
            accepted.StructSize = (uint)sizeof(NativeAccepted);
            fixed (NativeAccepted* target = &accepted)
                return NativeMethods.c2r_get_accepted(_handle.Pointer, target) == 1;
        }

        /// <summary>Current statistics.</summary>
        public void GetStats(ref NativeStats stats)
        {
            stats.StructSize = (uint)sizeof(NativeStats);
            fixed (NativeStats* target = &stats)
                NativeException.Require(NativeMethods.c2r_get_stats(_handle.Pointer, target));
        }

        /// <summary>Ends the session; returns at once.</summary>
        public void Close(bool discard, double timeoutS)
        {
            NativeMethods.c2r_close(_handle.Pointer, discard ? 1 : 0, timeoutS);
        }

        /// <summary>Joins the client's thread, usually at once, within two seconds.</summary>
        public void Dispose()
        {
            _handle.Dispose();
        }

        private void Refuse(int code)
        {
            try
            {
                NativeException.Require(code);
            }
            finally
            {
                _handle.Dispose();
            }
        }
    }
}
