using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;

namespace C2R.Internal
{
    /// <summary>One picture, RGBA, bottom row first, as textures want it.</summary>
    internal sealed class Picture
    {
        public byte[] Pixels = new byte[0];
        public int Width;
        public int Height;
        public ulong FrameId;
        public long CaptureUs;
    }

    /// <summary>
    /// Pictures that wait to be shown. Their buffers are used again, the last one released first, so
    /// that memory is taken only for as many pictures as have waited at once. Drop rule: when it is
    /// full, the oldest is shown at once and the delay is shortened to match. Falls back to the coarse
    /// frame when no picture that is due has come for a while, until pictures are in time again.
    /// </summary>
    internal sealed class PictureQueue
    {
        /// <summary>Pictures that may wait.</summary>
        public const int Capacity = 32;

        private const long SettleUs = 500000;

        private readonly Picture[] _ring = new Picture[Capacity];
        private readonly Stack<Picture> _spare = new Stack<Picture>(Capacity);
        private readonly PictureClock _clock = new PictureClock();
        private int _first;
        private int _count;
        private Picture _latest = new Picture();
        private bool _hasShown;
        private bool _moved;
        private long _shownAtUs;
        private bool _late;
        private long _inTimeSinceUs = -1;

        public PictureQueue()
        {
            for (int i = 0; i < Capacity; i++) _spare.Push(new Picture());
            Clear();
        }

        /// <summary>Pictures that came too late, or were overtaken before they were shown.</summary>
        public long Unseen { get; private set; }

        /// <summary>Pictures that wait.</summary>
        public int Count
        {
            get { return _count; }
        }

        /// <summary>How long the screen may stand still for a picture that is due.</summary>
        public long LateAfterUs { get; set; }

        /// <summary>The oldest that a picture may be when it comes.</summary>
        public long MaxDelayUs
        {
            get { return _clock.MaxDelayUs; }
            set { _clock.MaxDelayUs = value; }
        }

        /// <summary>How far behind its capture a picture is shown.</summary>
        public long DelayUs
        {
            get { return _clock.DelayUs; }
        }

        /// <summary>The picture on the screen; null when it is the coarse frame.</summary>
        public Picture Shown
        {
            get { return _hasShown && !_late ? _latest : null; }
        }

        /// <summary>The newest picture that was due, on the screen or not; null before the first.</summary>
        public Picture Latest
        {
            get { return _hasShown ? _latest : null; }
        }

        /// <summary>Drops all pictures; the coarse frame is shown.</summary>
        public void Clear()
        {
            while (_count > 0) _spare.Push(Next());
            _hasShown = false;
            _moved = false;
            _late = false;
            _inTimeSinceUs = -1;
            _clock.Clear();
        }

        /// <summary>Copies a picture in.</summary>
        public void Add(
            IntPtr pixels, int width, int height, int rowBytes, ulong frameId, long captureUs, long nowUs)
        {
            if (!_clock.Note(nowUs, captureUs))
            {
                Unseen++;
                return;
            }
            if (_count == Capacity) ShowEarly(nowUs);
            Picture picture = _spare.Pop();
            if (picture.Pixels.Length != width * height * 4) picture.Pixels = new byte[width * height * 4];
            CopyRows(pixels, rowBytes, picture.Pixels, width * 4, height);
            picture.Width = width;
            picture.Height = height;
            picture.FrameId = frameId;
            picture.CaptureUs = captureUs;
            _ring[(_first + _count++) % Capacity] = picture;
        }

        /// <summary>Moves on to the newest picture that is due; true when it is another one.</summary>
        public bool Advance(long nowUs)
        {
            long until = _clock.PlayedUntil(nowUs);
            while (_count > 0 && _ring[_first].CaptureUs <= until) Show(nowUs);
            UpdateFallback(nowUs);
            bool moved = _moved;
            _moved = false;
            return moved;
        }

        private void Show(long nowUs)
        {
            _spare.Push(_latest);
            _latest = Next();
            _hasShown = true;
            _shownAtUs = nowUs;
            if (_moved) Unseen++;
            _moved = true;
        }

        private Picture Next()
        {
            Picture next = _ring[_first];
            _first = (_first + 1) % Capacity;
            _count--;
            return next;
        }

        // A delay from slower times would otherwise keep every picture back until it is overtaken.
        private void ShowEarly(long nowUs)
        {
            _clock.Shorten(nowUs - _ring[_first].CaptureUs);
            Show(nowUs);
        }

        private void UpdateFallback(long nowUs)
        {
            bool inTime = _hasShown && nowUs - _shownAtUs <= LateAfterUs;
            if (!inTime)
            {
                _late = _hasShown;
                _inTimeSinceUs = -1;
                return;
            }
            if (!_late) return;
            if (_inTimeSinceUs < 0) _inTimeSinceUs = nowUs;
            if (nowUs - _inTimeSinceUs >= SettleUs) _late = false;
        }

        private static void CopyRows(IntPtr source, int rowBytes, byte[] target, int packed, int rows)
        {
            if (rowBytes == packed)
            {
                Marshal.Copy(source, target, 0, packed * rows);
                return;
            }
            for (int row = 0; row < rows; row++)
                Marshal.Copy(new IntPtr(source.ToInt64() + (long)row * rowBytes), target, row * packed, packed);
        }
    }
}
