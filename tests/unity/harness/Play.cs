// One game of the tests: a camera with the component, and frames.
using System;
using System.Collections.Generic;
using System.Security.Cryptography;
using System.Threading;
using C2R.Internal;
using UnityEngine;
using UnityEngine.Headless;

namespace C2R.Headless
{
    internal sealed class Play
    {
        /// <summary>Seconds until a wait gives up: longer than anything takes on a busy machine.</summary>
        public const double LimitS = 60;

        /// <summary>SHA-256 of each shown picture as RGB, row 0 the top, by frame.</summary>
        public readonly SortedDictionary<ulong, string> Shown = new SortedDictionary<ulong, string>();

        private readonly GameObject _object;
        private int _uploads;

        public Play(IDictionary<string, string> words)
        {
            _object = new GameObject("camera", typeof(Camera));
            var camera = _object.GetComponent<Camera>();
            // About 90 degrees high, as wide again by half; looking along z.
            Matrix4x4 projection = Matrix4x4.identity;
            projection[0, 0] = 0.5625f;
            projection[2, 2] = -1.0024f;
            projection[2, 3] = -0.6007f;
            projection[3, 2] = -1f;
            projection[3, 3] = 0f;
            camera.nonJitteredProjectionMatrix = projection;
            Matrix4x4 view = Matrix4x4.identity;
            view[2, 2] = -1f;
            camera.worldToCameraMatrix = view;
            Renderer = _object.AddComponent<C2RRenderer>();
            Set(words);
        }

        public C2RRenderer Renderer { get; private set; }

        public void Set(IDictionary<string, string> words)
        {
            C2RSettings settings = Renderer.Settings;
            foreach (KeyValuePair<string, string> one in words)
            {
                if (one.Key == "server") settings.server = one.Value;
                else if (one.Key == "token") settings.token = one.Value;
                else if (one.Key == "tokenFile") settings.tokenFile = one.Value;
                else if (one.Key == "prompt") settings.prompt = one.Value;
                else if (one.Key == "strength") settings.strength = float.Parse(one.Value);
                else if (one.Key == "seed") settings.seed = long.Parse(one.Value);
                else if (one.Key == "width") settings.resolution.x = int.Parse(one.Value);
                else if (one.Key == "height") settings.resolution.y = int.Parse(one.Value);
                else if (one.Key == "fps") settings.framesPerSecond = float.Parse(one.Value);
                else if (one.Key == "channels") settings.sideChannels = (C2RSideChannels)int.Parse(one.Value);
                else if (one.Key == "retry") settings.retryAfterFailure = float.Parse(one.Value);
                else if (one.Key == "silence") settings.silence = float.Parse(one.Value);
                else if (one.Key == "late") settings.lateAfter = float.Parse(one.Value);
                else if (one.Key == "maxDelay") settings.maxDelay = float.Parse(one.Value);
                else throw new ArgumentException("no setting " + one.Key);
            }
        }

        /// <summary>One frame of the game, drawn or not.</summary>
        public void Frame(bool draw)
        {
            Vector2Int size = Renderer.Settings.resolution;
            if (draw) Player.Frame(size.x, size.y);
            else Player.Tick();
            NoteShown();
            Thread.Sleep(2);
        }

        /// <summary>Frames until something holds; false after <see cref="LimitS"/>.</summary>
        public bool Until(Func<bool> holds, bool draw)
        {
            double end = Time.realtimeSinceStartupAsDouble + LimitS;
            while (!holds())
            {
                if (Time.realtimeSinceStartupAsDouble > end) return false;
                Frame(draw);
            }
            return true;
        }

        /// <summary>Draws frames, each when it can be sent at once, so that none is dropped.</summary>
        public bool Stream(int count)
        {
            double end = Time.realtimeSinceStartupAsDouble + LimitS;
            long goal = Submitted + count;
            while (Submitted < goal)
            {
                if (Time.realtimeSinceStartupAsDouble > end) return false;
                long before = Submitted;
                TestScene.Index = (int)before;
                bool room = Renderer.State == C2RState.Streaming && Renderer.Keeper.Session.HasRoom;
                Frame(room);
                for (int wait = 0; room && wait < 4 && Submitted == before; wait++) Frame(false);
            }
            return true;
        }

        public C2RStatistics Numbers()
        {
            return Renderer.Keeper == null ? Renderer.Statistics : Renderer.Keeper.Statistics();
        }

        /// <summary>Frames without an answer yet.</summary>
        public long Open
        {
            get
            {
                C2RStatistics now = Numbers();
                return now.Submitted - now.Rendered - now.Failed - now.Dropped;
            }
        }

        public void Destroy()
        {
            UnityEngine.Object.Destroy(_object);
        }

        private long Submitted
        {
            get { return Numbers().Submitted; }
        }

        private void NoteShown()
        {
            if (Renderer.Pictures == null) return;
            var texture = (Texture2D)Renderer.PictureTexture;
            Picture picture = Renderer.Pictures.Shown;
            if (texture == null || picture == null || texture.Uploads == _uploads) return;
            _uploads = texture.Uploads;
            Shown[picture.FrameId] = Hash(texture);
        }

        private static string Hash(Texture2D texture)
        {
            int row = texture.width * 4;
            var rgb = new byte[texture.width * texture.height * 3];
            int next = 0;
            for (int y = texture.height - 1; y >= 0; y--)
            {
                for (int x = 0; x < row; x++)
                {
                    if (x % 4 < 3) rgb[next++] = texture.Pixels[y * row + x];
                }
            }
            using (SHA256 hash = SHA256.Create())
                return BitConverter.ToString(hash.ComputeHash(rgb)).Replace("-", "").ToLowerInvariant();
        }
    }
}
