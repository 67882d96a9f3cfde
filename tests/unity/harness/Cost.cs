// The cost of one frame to the game's thread: a submit and an update, at full size.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Threading;
using C2R.Internal;
using C2R.Interop;
using UnityEngine;

namespace C2R.Headless
{
    internal static unsafe class Cost
    {
        private const int ThreadClock = 3; // CLOCK_THREAD_CPUTIME_ID
        private const int ThisThread = 1;  // RUSAGE_THREAD
        private const int MinorFaults = 8; // of struct rusage, in longs

        /// <summary>
        /// Milliseconds of submit plus update, sorted, of frames at 60 per second: wall-clock time, and
        /// CPU time of this thread, which a busy machine does not change. Returns the thread's page
        /// faults in the second half: memory that was not used again.
        /// </summary>
        public static long Measure(
            string server, int width, int height, int frames, List<double> wall, List<double> thread)
        {
            var settings = new C2RSettings
            {
                server = server, resolution = new Vector2Int(width, height), framesPerSecond = 60f
            };
            var pixels = new byte[width * height * 4];
            GCHandle pinned = GCHandle.Alloc(pixels, GCHandleType.Pinned);
            try
            {
                return Run(settings, pinned.AddrOfPinnedObject(), frames, wall, thread);
            }
            finally
            {
                pinned.Free();
            }
        }

        /// <summary>Buffers that a queue takes for 200 pictures, of which a few wait at a time.</summary>
        public static int Buffers()
        {
            var queue = new PictureQueue { MaxDelayUs = 4000000, LateAfterUs = 500000 };
            var seen = new HashSet<byte[]>();
            IntPtr pixels = Marshal.AllocHGlobal(64 * 32 * 4);
            for (int i = 0; i < 200; i++)
            {
                long now = 1000000 + i * 16667L;
                queue.Add(pixels, 64, 32, 64 * 4, (ulong)i, now - 50000, now);
                if (queue.Advance(now)) seen.Add(queue.Latest.Pixels);
            }
            Marshal.FreeHGlobal(pixels);
            return seen.Count;
        }

        [DllImport("libc")]
        private static extern int clock_gettime(int clock, long* now);

        private static double ThreadMs()
        {
            long* now = stackalloc long[2];
            clock_gettime(ThreadClock, now);
            return now[0] * 1e3 + now[1] * 1e-6;
        }

        [DllImport("libc")]
        private static extern int getrusage(int who, long* used);

        private static long PageFaults()
        {
            long* used = stackalloc long[18];
            getrusage(ThisThread, used);
            return used[MinorFaults];
        }

        private static long Run(
            C2RSettings settings, IntPtr pixels, int frames, List<double> wall, List<double> thread)
        {
            long faults = 0;
            var pictures = new PictureQueue { MaxDelayUs = 4000000, LateAfterUs = 500000 };
            using (var session = new RenderSession(settings, pictures))
            {
                var watch = Stopwatch.StartNew();
                while (session.State != C2RState.Streaming && watch.Elapsed.TotalSeconds < Play.LimitS)
                {
                    session.Update();
                    Thread.Sleep(5);
                }
                for (int i = 0; i < frames; i++)
                {
                    if (i == frames / 2) faults = -PageFaults();
                    var frame = new CapturedFrame
                    {
                        Colour = pixels, Width = settings.resolution.x, Height = settings.resolution.y,
                        Reset = C2RReset.None, CaptureUs = NativeClient.NowUs
                    };
                    long startTicks = watch.ElapsedTicks;
                    double startMs = ThreadMs();
                    session.Submit(ref frame);
                    session.Update();
                    pictures.Advance(NativeClient.NowUs);
                    double ms = (watch.ElapsedTicks - startTicks) * 1000.0 / Stopwatch.Frequency;
                    if (i >= 30)
                    {
                        thread.Add(ThreadMs() - startMs);
                        wall.Add(ms);
                    }
                    Thread.Sleep(16);
                }
                faults += PageFaults();
            }
            wall.Sort();
            thread.Sort();
            return faults;
        }
    }
}
