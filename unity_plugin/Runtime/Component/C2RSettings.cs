using System;
using UnityEngine;

namespace C2R
{
    /// <summary>Server, session and render parameters; shown in the inspector.</summary>
    [Serializable]
    public sealed class C2RSettings
    {
        [Tooltip("host:port, [IPv6]:port or unix:path of c2r serve")]
        public string server = "127.0.0.1:50051";

        [Tooltip("Encrypt; needed for any server beyond this machine")]
        public bool tls;

        [Tooltip("File with the PEM certificates that sign the server's; empty: the system's")]
        public string rootCaFile = "";

        [Tooltip("File that holds the bearer token; keep it out of the project")]
        public string tokenFile = "";

        [TextArea(2, 5)]
        [Tooltip("What to render")]
        public string prompt = "a city street at noon, people walking, photorealistic";

        [TextArea(1, 3)]
        [Tooltip("What to avoid")]
        public string negativePrompt = "";

        [Range(0f, 2f)]
        [Tooltip("How closely pictures follow the coarse frames; 0: not at all")]
        public float strength = 1f;

        [Tooltip("Use the seed below; else the server chooses one")]
        public bool fixedSeed = true;

        [Tooltip("The same seed, prompt and frames give the same pictures")]
        public long seed;

        [Tooltip("Pixels of frames and pictures; multiples of 16, as the server was started with")]
        public Vector2Int resolution = new Vector2Int(256, 144);

        [Range(1f, 60f)]
        [Tooltip("Frames per second that are captured and rendered")]
        public float framesPerSecond = 16f;

        [Tooltip("What is sent besides colour")]
        public C2RSideChannels sideChannels = C2RSideChannels.None;

        [Tooltip("Metres that the camera must jump between frames to count as a teleport; 0: never")]
        public float teleportDistance = 20f;

        [Tooltip("Seconds without a picture that is due before the coarse frame is shown again")]
        public float lateAfter = 0.5f;

        [Tooltip("The oldest that a picture may be when it comes, seconds")]
        public float maxDelay = 4f;

        [Tooltip("Seconds after a failure until another session is tried; 0: only after a change")]
        public float retryAfterFailure = 10f;

        [Tooltip("Seconds without a message from the server before the connection is given up")]
        public float silence = 15f;

        /// <summary>The token itself, for games that have it from elsewhere; never saved.</summary>
        [NonSerialized]
        public string token;

        /// <summary>A copy that does not change with the inspector.</summary>
        public C2RSettings Copy()
        {
            return (C2RSettings)MemberwiseClone();
        }

        /// <summary>Whether going from <paramref name="other"/> to this needs another session.</summary>
        public bool NeedsNewSession(C2RSettings other)
        {
            return server != other.server || tls != other.tls || rootCaFile != other.rootCaFile
                   || tokenFile != other.tokenFile || token != other.token
                   || resolution != other.resolution || framesPerSecond != other.framesPerSecond
                   || sideChannels != other.sideChannels || fixedSeed != other.fixedSeed
                   || silence != other.silence;
        }
    }
}
