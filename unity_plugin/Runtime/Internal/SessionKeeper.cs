using System;
using System.IO;
using C2R.Interop;

namespace C2R.Internal
{
    /// <summary>
    /// Keeps a session going: opens one, sends changes of prompt, strength and seed along, opens
    /// another when settings ask for it, and tries again some time after a failure.
    /// </summary>
    internal sealed class SessionKeeper : IDisposable
    {
        private readonly PictureQueue _pictures;
        private C2RSettings _used;
        private double _retryAt = double.PositiveInfinity;
        private string _failure = "";
        private C2RError _failureKind;
        private C2RStatistics _before;

        public SessionKeeper(PictureQueue pictures)
        {
            _pictures = pictures;
        }

        /// <summary>The session; null while there is none.</summary>
        public RenderSession Session { get; private set; }

        /// <summary>Where it stands.</summary>
        public C2RState State
        {
            get
            {
                if (Session != null) return Session.State;
                return _failureKind == C2RError.None ? C2RState.Off : C2RState.Failed;
            }
        }

        /// <summary>What broke or failed.</summary>
        public C2RError Error
        {
            get { return Session != null ? Session.Error : _failureKind; }
        }

        /// <summary>The state as text.</summary>
        public string Text
        {
            get { return Session != null ? Session.Text : _failure; }
        }

        /// <summary>Why this computer cannot run a session; null when it can.</summary>
        public string Obstacle { get; set; }

        /// <summary>Called when a new session begins.</summary>
        public Action Began { get; set; }

        /// <summary>Opens, changes or reopens the session as needed, then updates it.</summary>
        public void Update(C2RSettings settings, double now)
        {
            if (_used == null || settings.NeedsNewSession(_used)) Open(settings);
            else if (Due(now)) Open(settings);
            else SendChanges(settings);
            if (Session != null) Session.Update();
            if (State != C2RState.Failed) _retryAt = double.PositiveInfinity;
            else if (double.IsPositiveInfinity(_retryAt) && settings.retryAfterFailure > 0)
                _retryAt = now + settings.retryAfterFailure;
        }

        /// <summary>Counts over all sessions; rates of the current one.</summary>
        public C2RStatistics Statistics()
        {
            C2RStatistics now = Session != null ? Session.Statistics() : new C2RStatistics();
            now.Submitted += _before.Submitted;
            now.Rendered += _before.Rendered;
            now.Failed += _before.Failed;
            now.Dropped += _before.Dropped;
            now.Connections += _before.Connections;
            return now;
        }

        /// <summary>Opens another session at the next update.</summary>
        public void Restart()
        {
            _used = null;
        }

        /// <summary>Ends the session; the client's thread is gone when this returns.</summary>
        public void Dispose()
        {
            End();
            _used = null;
            _failure = "";
            _failureKind = C2RError.None;
            _pictures.Clear();
        }

        private bool Due(double now)
        {
            return State == C2RState.Failed && now >= _retryAt;
        }

        private void Open(C2RSettings settings)
        {
            End();
            _pictures.Clear();
            _used = settings.Copy();
            _retryAt = double.PositiveInfinity;
            _failureKind = C2RError.None;
            string fault = NativeLibraryCheck.Fault;
            if (Obstacle != null) Fail(C2RError.Unsupported, Obstacle);
            else if (fault != null) Fail(C2RError.Library, fault);
            else TryOpen();
        }

        private void TryOpen()
        {
            try
            {
                Session = new RenderSession(_used, _pictures);
            }
            catch (NativeException error)
            {
                Fail((C2RError)error.Code, error.Message);
                return;
            }
            catch (IOException error)
            {
                Fail(C2RError.File, error.Message);
                return;
            }
            catch (UnauthorizedAccessException error)
            {
                Fail(C2RError.File, error.Message);
                return;
            }
            if (Began != null) Began();
        }

        private void Fail(C2RError kind, string text)
        {
            _failureKind = kind;
            _failure = text;
        }

        private void End()
        {
            if (Session == null) return;
            C2RStatistics last = Statistics();
            // Frames without an answer will have none: they count as dropped.
            last.Dropped = last.Submitted - last.Rendered - last.Failed;
            _before = last;
            Session.Dispose();
            Session = null;
        }

        private void SendChanges(C2RSettings settings)
        {
            bool prompt = settings.prompt != _used.prompt;
            bool negative = settings.negativePrompt != _used.negativePrompt;
            bool strength = settings.strength != _used.strength;
            bool seed = settings.fixedSeed && settings.seed != _used.seed;
            if (!(prompt || negative || strength || seed) || Session == null) return;
            Session.SetControl(
                prompt ? settings.prompt ?? "" : null,
                negative ? settings.negativePrompt ?? "" : null,
                strength ? settings.strength : (double?)null,
                seed ? settings.seed : (long?)null);
            _used = settings.Copy();
        }
    }
}
