using System;
using C2R.Interop;
using UnityEngine;
using UnityEngine.Rendering;

namespace C2R.Internal
{
    /// <summary>
    /// The capturing half: decides when a frame is captured, has it drawn in canonical form and read
    /// back, and hands it to the session. Whether the game's frames are drawn by URP, HDRP or the
    /// built-in pipeline is in <see cref="CaptureSources"/>.
    /// </summary>
    internal sealed class CameraView : IDisposable
    {
        private readonly Camera _camera;
        private readonly CameraConverter _converter = new CameraConverter();
        private readonly Canonicaliser _canonicaliser = new Canonicaliser();
        private CaptureRing _ring;
        private double _nextAt;
        private double _lastTime = -1;

        public CameraView(Camera camera)
        {
            _camera = camera;
        }

        /// <summary>What makes the next frame a reset.</summary>
        public readonly ResetTracker Resets = new ResetTracker();

        /// <summary>The frame that was captured last; null before the first.</summary>
        public CaptureSlot Latest
        {
            get { return _ring == null ? null : _ring.Latest; }
        }

        /// <summary>Frames that were not captured because the graphics card was behind.</summary>
        public long Skipped { get; private set; }

        /// <summary>Frames whose reading failed.</summary>
        public long Failures
        {
            get { return _ring == null ? 0 : _ring.Failures; }
        }

        /// <summary>A new session of other size or channels; its first frame stands alone.</summary>
        public void Begin(C2RSettings settings)
        {
            bool resized = _ring != null && _ring.Size != settings.resolution;
            if (resized || (_ring != null && _ring.Channels != settings.sideChannels)) FreeRing();
            if (_ring == null) _ring = new CaptureRing(settings.resolution, settings.sideChannels);
            Resets.Begin(resized ? ViewEvent.SizeChanged : ViewEvent.FirstFrame);
            _converter.Cut();
            _nextAt = 0;
            _lastTime = -1;
        }

        /// <summary>Whether a frame that is drawn now is to be captured.</summary>
        public bool Due(double now, float framesPerSecond)
        {
            if (_ring == null || now < _nextAt) return false;
            double interval = 1.0 / framesPerSecond;
            // In step with the clock; after a pause the schedule restarts, or captures would come in a burst.
            _nextAt = now - _nextAt > interval ? now + interval : _nextAt + interval;
            return true;
        }

        /// <summary>Records capture and reading of the frame that was drawn.</summary>
        public void Capture(
            CommandBuffer cmd, ref CaptureSources sources, C2RSettings settings, bool topFirst)
        {
            CaptureSlot slot = _ring.Take();
            if (slot == null)  // the graphics card is behind: this frame is dropped, not waited for
            {
                Skipped++;
                return;
            }
            slot.Frame.CaptureUs = NativeClient.NowUs;
            double passed = _lastTime < 0 ? 0 : Time.timeAsDouble - _lastTime;
            _lastTime = Time.timeAsDouble;
            slot.Frame.DeltaMs = passed * 1000;
            slot.MotionStretch = Canonical.Stretch(passed, Time.deltaTime);
            Place(slot, settings);
            _canonicaliser.Record(cmd, slot, ref sources, _camera, topFirst);
            slot.Request(
                cmd, sources.DepthKind != SourceKind.Missing, sources.MotionKind != SourceKind.Missing);
        }

        /// <summary>Hands over what has come back.</summary>
        public void Submit(RenderSession session)
        {
            if (_ring == null) return;
            CaptureSlot slot;
            while ((slot = _ring.Finished()) != null)
            {
                if (session != null && !session.Final) session.Submit(ref slot.Frame);
            }
        }

        /// <summary>Waits for the graphics card, then frees everything.</summary>
        public void Dispose()
        {
            FreeRing();
            _canonicaliser.Dispose();
        }

        private void Place(CaptureSlot slot, C2RSettings settings)
        {
            slot.Frame.Reset = Resets.Take(_camera.transform.position, settings.teleportDistance);
            if (slot.Frame.Reset != C2RReset.None) _converter.Cut();
            slot.Frame.HasCamera =
                (settings.sideChannels & C2RSideChannels.Camera) != 0
                && _converter.Convert(
                    _camera.nonJitteredProjectionMatrix, _camera.worldToCameraMatrix,
                    out slot.Frame.Camera);
        }

        private void FreeRing()
        {
            if (_ring == null) return;
            _ring.Dispose();
            _ring = null;
        }
    }
}
