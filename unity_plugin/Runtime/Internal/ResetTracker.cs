using UnityEngine;

namespace C2R.Internal
{
    /// <summary>What can happen to a game's view.</summary>
    internal enum ViewEvent
    {
        None,
        FirstFrame,
        LevelLoaded,
        CameraCut,
        CameraMovedFar,
        SizeChanged,
        PlayResumed,
        Asked
    }

    /// <summary>
    /// Turns what happened since the last captured frame into that frame's reset. The first reason
    /// counts; every reason does the same to the renderer.
    /// </summary>
    internal sealed class ResetTracker
    {
        private C2RReset _waiting = C2RReset.None;
        private Vector3 _position;
        private bool _hasPosition;

        /// <summary>The reason that stands for an event on the wire.</summary>
        public static C2RReset ReasonOf(ViewEvent happened)
        {
            switch (happened)
            {
                case ViewEvent.None: return C2RReset.None;
                case ViewEvent.FirstFrame:
                case ViewEvent.LevelLoaded: return C2RReset.LevelLoad;
                case ViewEvent.CameraCut: return C2RReset.Cut;
                case ViewEvent.CameraMovedFar: return C2RReset.Teleport;
                case ViewEvent.SizeChanged: return C2RReset.Resize;
                case ViewEvent.PlayResumed: return C2RReset.Resume;
                default: return C2RReset.User;
            }
        }

        /// <summary>Makes the next captured frame a reset.</summary>
        public void Note(ViewEvent happened)
        {
            Note(ReasonOf(happened));
        }

        /// <summary>Makes the next captured frame a reset, for this reason.</summary>
        public void Note(C2RReset reason)
        {
            if (_waiting == C2RReset.None) _waiting = reason;
        }

        /// <summary>A new session: its first frame stands alone, for this reason.</summary>
        public void Begin(ViewEvent happened)
        {
            _waiting = C2RReset.None;
            _hasPosition = false;
            Note(happened);
        }

        /// <summary>
        /// The reset of the frame that is captured now, from a camera at
        /// <paramref name="position"/>; <paramref name="far"/> metres or more is a teleport.
        /// </summary>
        public C2RReset Take(Vector3 position, float far)
        {
            if (_hasPosition && far > 0f && (position - _position).magnitude >= far)
                Note(ViewEvent.CameraMovedFar);
            _position = position;
            _hasPosition = true;
            C2RReset taken = _waiting;
            _waiting = C2RReset.None;
            return taken;
        }
    }
}
