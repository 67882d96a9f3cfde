using System;
using UnityEngine;
using UnityEngine.Rendering;

namespace C2R.Internal
{
    /// <summary>
    /// Captured frames on their way from the graphics card, oldest first. Full: the new frame is not
    /// captured, since the card is behind already.
    /// </summary>
    internal sealed class CaptureRing : IDisposable
    {
        /// <summary>Frames that may be under way; readings come back after two or three.</summary>
        public const int Length = 5;

        private readonly CaptureSlot[] _slots = new CaptureSlot[Length];
        private int _first;
        private int _count;

        /// <summary>Textures and memory for frames of <paramref name="size"/>.</summary>
        public CaptureRing(Vector2Int size, C2RSideChannels channels)
        {
            Size = size;
            Channels = channels;
            for (int i = 0; i < Length; i++) _slots[i] = new CaptureSlot(size, channels);
        }

        /// <summary>Pixels.</summary>
        public Vector2Int Size { get; private set; }

        /// <summary>What is captured besides colour.</summary>
        public C2RSideChannels Channels { get; private set; }

        /// <summary>Frames whose reading failed.</summary>
        public long Failures { get; private set; }

        /// <summary>The slot that was filled last; null before the first.</summary>
        public CaptureSlot Latest { get; private set; }

        /// <summary>A slot for a new frame, which counts as under way; null when all are.</summary>
        public CaptureSlot Take()
        {
            if (_count == Length) return null;
            CaptureSlot slot = _slots[(_first + _count) % Length];
            _count++;
            Latest = slot;
            return slot;
        }

        /// <summary>
        /// The oldest frame, when it has come back: hand it on, then call this again. Null when
        /// there is none now. The slot is used again by a later <see cref="Take"/>.
        /// </summary>
        public CaptureSlot Finished()
        {
            while (_count > 0 && _slots[_first].Done)
            {
                CaptureSlot slot = _slots[_first];
                _first = (_first + 1) % Length;
                _count--;
                if (slot.Failed)
                {
                    Failures++;
                    continue;
                }
                slot.Finish();
                return slot;
            }
            return null;
        }

        /// <summary>Waits for the card, then frees everything.</summary>
        public void Dispose()
        {
            if (_count > 0) AsyncGPUReadback.WaitAllRequests();
            foreach (CaptureSlot slot in _slots) slot.Dispose();
            _count = 0;
            Latest = null;
        }
    }
}
