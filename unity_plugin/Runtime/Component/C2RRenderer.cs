using System.Collections.Generic;
using C2R.Internal;
using UnityEngine;
using UnityEngine.Rendering;
using UnityEngine.SceneManagement;

namespace C2R
{
    /// <summary>
    /// Put it on a camera: the camera's frames go to the renderer, and its pictures (output frames)
    /// replace them on the screen. Without pictures the coarse frame stays. Nothing here waits for the
    /// network.
    /// </summary>
    [AddComponentMenu("C2R/C2R Renderer")]
    [DisallowMultipleComponent]
    [RequireComponent(typeof(Camera))]
    public sealed class C2RRenderer : MonoBehaviour
    {
        private const double StatisticsEvery = 0.5;

        private static readonly List<C2RRenderer> Enabled = new List<C2RRenderer>();

        [SerializeField]
        private C2RSettings settings = new C2RSettings();

        [SerializeField]
        [Tooltip("Show pictures; else they are rendered and received, but the coarse frame stays")]
        private bool present = true;

        [SerializeField]
        [Tooltip("Turn it on when pictures are upside down: the pipeline's row 0 is the top")]
        private bool sourceIsTopFirst;

        private Camera _camera;
        private PictureQueue _pictures;
        private SessionKeeper _keeper;
        private CameraView _view;
        private PictureScreen _screen;
        private double _statisticsAt;

        /// <summary>Server, session and render parameters; may be changed at any time.</summary>
        public C2RSettings Settings
        {
            get { return settings; }
        }

        /// <summary>Whether pictures are shown when there are any.</summary>
        public bool Present
        {
            get { return present; }
            set { present = value; }
        }

        /// <summary>Where the connection stands.</summary>
        public C2RState State
        {
            get { return _keeper == null ? C2RState.Off : _keeper.State; }
        }

        /// <summary>What broke or failed.</summary>
        public C2RError Error
        {
            get { return _keeper == null ? C2RError.None : _keeper.Error; }
        }

        /// <summary>The state as text: what is wrong and what to do.</summary>
        public string StatusText
        {
            get { return _keeper == null ? "off" : _keeper.Text; }
        }

        /// <summary>The last warning or refused change; null when there was none.</summary>
        public string Notice
        {
            get { return _keeper == null || _keeper.Session == null ? null : _keeper.Session.Notice; }
        }

        /// <summary>Whether a picture is on the screen, not the coarse frame.</summary>
        public bool ShowsPicture
        {
            get { return present && _pictures != null && _pictures.Shown != null; }
        }

        /// <summary>The numbers of this component's sessions; half a second old at most.</summary>
        public C2RStatistics Statistics { get; private set; }

        /// <summary>How far behind its capture a picture is shown, milliseconds.</summary>
        public double DelayMs
        {
            get { return _pictures == null ? 0 : _pictures.DelayUs / 1000.0; }
        }

        /// <summary>The shown picture, or the last one that was; null before the first.</summary>
        public Texture PictureTexture
        {
            get { return _screen == null ? null : _screen.Texture; }
        }

        internal CaptureSlot LatestCapture
        {
            get { return _view == null ? null : _view.Latest; }
        }

        internal SessionKeeper Keeper
        {
            get { return _keeper; }
        }

        internal PictureQueue Pictures
        {
            get { return _pictures; }
        }

        /// <summary>The next frame does not continue the one before.</summary>
        public void ResetHistory(C2RReset reason)
        {
            if (_view != null) _view.Resets.Note(reason);
        }

        /// <summary>Ends the session and opens another, whatever the state.</summary>
        public void Reconnect()
        {
            if (_keeper != null) _keeper.Restart();
        }

        /// <summary>The enabled component on a camera; null when there is none.</summary>
        internal static C2RRenderer Of(Camera camera)
        {
            foreach (C2RRenderer one in Enabled)
            {
                if (one._camera == camera) return one;
            }
            return null;
        }

        /// <summary>What passes need the camera to draw.</summary>
        internal C2RSideChannels Channels
        {
            get { return settings.sideChannels; }
        }

        /// <summary>Records capture and presentation; pipelines call it when a camera has drawn.</summary>
        internal void Record(CommandBuffer cmd, ref CaptureSources sources)
        {
            Capture(cmd, ref sources);
            if (ShowsPicture) _screen.Record(cmd, sources.Colour, sources.Viewport);
        }

        /// <summary>Records capture alone.</summary>
        internal void Capture(CommandBuffer cmd, ref CaptureSources sources)
        {
            if (_view == null || State != C2RState.Streaming) return;
            double now = Time.realtimeSinceStartupAsDouble;
            if (_view.Due(now, settings.framesPerSecond))
                _view.Capture(cmd, ref sources, settings, sourceIsTopFirst);
        }

        // With the editor's option to keep the domain, statics survive from one play to the next.
        [RuntimeInitializeOnLoadMethod(RuntimeInitializeLoadType.SubsystemRegistration)]
        private static void Forget()
        {
            Enabled.Clear();
        }

        private void OnEnable()
        {
            _camera = GetComponent<Camera>();
            _pictures = new PictureQueue();
            _keeper = new SessionKeeper(_pictures) { Began = OnSession, Obstacle = Obstacle() };
            _view = new CameraView(_camera);
            _screen = new PictureScreen();
            Enabled.Add(this);
            SceneManager.sceneLoaded += OnSceneLoaded;
            if (GraphicsSettings.currentRenderPipeline == null) C2RBuiltInView.AttachTo(gameObject);
        }

        private void OnDisable()
        {
            SceneManager.sceneLoaded -= OnSceneLoaded;
            Enabled.Remove(this);
            Statistics = _keeper.Statistics();
            _view.Dispose();
            _keeper.Dispose();
            _screen.Dispose();
            _view = null;
            _keeper = null;
            _screen = null;
            _pictures = null;
        }

        private void Update()
        {
            double now = Time.realtimeSinceStartupAsDouble;
            _pictures.LateAfterUs = (long)(settings.lateAfter * 1e6);
            _pictures.MaxDelayUs = (long)(settings.maxDelay * 1e6);
            _keeper.Update(settings, now);
            _view.Submit(_keeper.Session);
            if (_keeper.Session != null) ShowNext();
            if (now < _statisticsAt) return;
            _statisticsAt = now + StatisticsEvery;
            Statistics = _keeper.Statistics();
        }

        private void OnApplicationPause(bool paused)
        {
            if (!paused && _view != null) _view.Resets.Note(ViewEvent.PlayResumed);
        }

        private void OnSceneLoaded(Scene scene, LoadSceneMode mode)
        {
            if (mode == LoadSceneMode.Single) _view.Resets.Note(ViewEvent.LevelLoaded);
        }

        private static string Obstacle()
        {
            return SystemInfo.supportsAsyncGPUReadback
                ? null
                : "this graphics API cannot read back asynchronously; use D3D11, D3D12, Vulkan or Metal";
        }

        private void OnSession()
        {
            if (_keeper.Session != null) _view.Begin(settings);
        }

        private void ShowNext()
        {
            if (!_pictures.Advance(Interop.NativeClient.NowUs)) return;
            // Uploaded even while the coarse frame is shown: it may come back between two pictures.
            _screen.Load(_pictures.Latest);
            if (ShowsPicture) _keeper.Session.ReportShown(_pictures.Latest);
        }
    }
}
