namespace C2R.Internal
{
    /// <summary>
    /// When a picture is due. Pictures come in chunks and are played by their capture times, a delay
    /// behind them: the longest that any picture of the last seconds took, so that the last frame of
    /// a chunk is still on the screen when the next chunk comes. The delay grows at once and shrinks
    /// slowly, by playing a little faster. Times are microseconds of the client's clock.
    /// </summary>
    internal sealed class PictureClock
    {
        private const int Remembered = 128;
        private const long MemoryUs = 3000000;
        private const long MarginUs = 15000;
        private const double CatchUp = 0.05;

        private readonly long[] _at = new long[Remembered];
        private readonly long[] _took = new long[Remembered];
        private int _next;
        private long _lastPlayedUs;

        /// <summary>The longest delay, microseconds; older pictures are not played.</summary>
        public long MaxDelayUs { get; set; }

        /// <summary>How far behind its capture a picture is shown.</summary>
        public long DelayUs { get; private set; }

        /// <summary>Forgets all delays.</summary>
        public void Clear()
        {
            for (int i = 0; i < Remembered; i++) _at[i] = long.MinValue / 2;
            DelayUs = 0;
            _lastPlayedUs = 0;
        }

        /// <summary>A picture came; false when it is too old to be played.</summary>
        public bool Note(long nowUs, long captureUs)
        {
            long took = nowUs - captureUs;
            if (took > MaxDelayUs) return false;
            _at[_next] = nowUs;
            _took[_next] = took;
            _next = (_next + 1) % Remembered;
            long needed = took + MarginUs;
            if (needed > DelayUs) DelayUs = needed < MaxDelayUs ? needed : MaxDelayUs;
            return true;
        }

        /// <summary>Makes the delay no longer than this and forgets longer ones.</summary>
        public void Shorten(long delayUs)
        {
            if (DelayUs <= delayUs) return;
            DelayUs = delayUs;
            for (int i = 0; i < Remembered; i++)
            {
                if (_took[i] > delayUs) _at[i] = long.MinValue / 2;
            }
        }

        /// <summary>Pictures captured up to this time are due now.</summary>
        public long PlayedUntil(long nowUs)
        {
            long elapsed = _lastPlayedUs == 0 ? 0 : nowUs - _lastPlayedUs;
            _lastPlayedUs = nowUs;
            long longest = -1;
            for (int i = 0; i < Remembered; i++)
            {
                if (nowUs - _at[i] <= MemoryUs && _took[i] > longest) longest = _took[i];
            }
            if (longest >= 0)
            {
                long shrunk = DelayUs - (long)(CatchUp * elapsed);
                long needed = longest + MarginUs;
                if (needed > MaxDelayUs) needed = MaxDelayUs;
                DelayUs = needed > shrunk ? needed : shrunk;
            }
            return nowUs - DelayUs;
        }
    }
}
