// What the camera of the tests draws: a pattern of the frame's number, which `scene` in
// tests/unity/unity_rig.py computes too.
using C2R.Internal;
using UnityEngine;
using UnityEngine.Experimental.Rendering;
using UnityEngine.Headless;

namespace C2R.Headless
{
    internal static class TestScene
    {
        private static readonly float[] Light = new float[256];

        /// <summary>The number of the frame that is drawn.</summary>
        public static int Index;

        /// <summary>Whether the pipeline publishes depth and motion.</summary>
        public static bool Geometry;

        private static RenderTexture _depth;
        private static RenderTexture _motion;

        public static void Show()
        {
            for (int i = 0; i < 256; i++) Light[i] = Canonical.Linear(i / 255f);
            Player.Scene = Draw;
        }

        /// <summary>The sRGB value of a channel, x to the right, y down.</summary>
        public static int Value(int index, int x, int y, int channel)
        {
            return (x * 3 + y * 5 + index * 7 + channel * 85) & 255;
        }

        private static void Draw(RenderTexture target)
        {
            for (int y = 0; y < target.height; y++)
            {
                int row = (target.height - 1 - y) * target.width;
                for (int x = 0; x < target.width; x++)
                {
                    for (int c = 0; c < 3; c++)
                        target.Texels[4 * (row + x) + c] = Light[Value(Index, x, y, c)];
                }
            }
            if (Geometry) Publish(target.width, target.height);
        }

        // Stored depth falls from 1 on the left to 0, no surface, in the right column. Everything moved by
        // (width / 32, -height / 16) pixels, y down.
        private static void Publish(int width, int height)
        {
            if (_depth == null)
            {
                _depth = new RenderTexture(width, height, 0, GraphicsFormat.R32_SFloat);
                _motion = new RenderTexture(width, height, 0, GraphicsFormat.R16G16_SFloat);
            }
            for (int i = 0; i < width * height; i++)
            {
                _depth.Texels[4 * i] = 1f - (float)(i % width) / (width - 1);
                _motion.Texels[4 * i] = 1f / 32f;
                _motion.Texels[4 * i + 1] = 1f / 16f;
            }
            Shader.SetGlobalTexture("_CameraDepthTexture", _depth);
            Shader.SetGlobalTexture("_CameraMotionVectorsTexture", _motion);
        }
    }
}
