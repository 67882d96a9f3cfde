using System;
using UnityEngine;

namespace C2R.Internal
{
    /// <summary>How a depth buffer was made; planes in metres, since a Unity unit is a metre.</summary>
    internal struct DepthPlanes
    {
        public float Near;
        public float Far;
        public float MetresPerUnit;
        public bool Inverted;
        public bool Infinite;
    }

    /// <summary>
    /// The reference implementation of <c>C2RCanonical.shader</c> on the CPU, which the conformance
    /// table is run through. Expression by expression as in the shader.
    /// </summary>
    internal static class Canonical
    {
        private const float LargestHalf = 65504f;
        private const double MostStretch = 64;

        /// <summary>Linear light to sRGB in [0, 1] (IEC 61966-2-1); clamps.</summary>
        public static float Srgb(float linear)
        {
            float light = Mathf.Clamp01(linear);
            return light <= 0.0031308f
                ? 12.92f * light
                : 1.055f * Mathf.Pow(light, 1f / 2.4f) - 0.055f;
        }

        /// <summary>sRGB in [0, 1] to linear light; the inverse of <see cref="Srgb"/>.</summary>
        public static float Linear(float srgb)
        {
            return srgb <= 0.04045f ? srgb / 12.92f : Mathf.Pow((srgb + 0.055f) / 1.055f, 2.4f);
        }

        /// <summary>A value in [0, 1] as an 8-bit target stores it.</summary>
        public static byte Byte(float value)
        {
            return (byte)Math.Floor(Mathf.Clamp01(value) * 255f + 0.5f);
        }

        /// <summary>The row that holds, bottom first, what row <paramref name="row"/> shows.</summary>
        public static int SourceRow(int row, int height)
        {
            return height - 1 - row;
        }

        /// <summary>
        /// A depth-buffer value in [0, 1] to metres along the forward axis: with v = 1 at the near
        /// plane, z = f n / (n + v (f - n)), and n / v as f grows. Infinity where a cleared buffer
        /// shows no surface.
        /// </summary>
        public static float Metres(float stored, DepthPlanes planes)
        {
            float v = planes.Inverted ? stored : 1f - stored;
            if (v <= 0f) return float.PositiveInfinity;
            float z = planes.Infinite
                ? planes.Near / v
                : planes.Far * planes.Near / (planes.Near + v * (planes.Far - planes.Near));
            return z * planes.MetresPerUnit;
        }

        /// <summary>
        /// Unity's motion (uv now minus uv before, v up) to pixels of a picture whose row 0 is the
        /// top: before minus now, y down, so that x is turned over and y, turned over twice, is not.
        /// <paramref name="stretch"/>: captured frames may lie further apart than the engine's; see
        /// <see cref="Stretch"/>. No answer (NaN) on a reset, for what a pipeline marks with more
        /// than a whole picture, and beyond what a half holds.
        /// </summary>
        public static Vector2 MotionPixels(Vector2 uv, int width, int height, bool reset, float stretch)
        {
            var pixels = new Vector2(-uv.x * width * stretch, uv.y * height * stretch);
            bool known = !reset && Mathf.Abs(uv.x) <= 1f && Mathf.Abs(uv.y) <= 1f
                         && Mathf.Abs(pixels.x) <= LargestHalf && Mathf.Abs(pixels.y) <= LargestHalf;
            return known ? pixels : new Vector2(float.NaN, float.NaN);
        }

        /// <summary>
        /// Game time between two captured frames over that of the engine's last one. Motion textures
        /// tell of the engine's last frame alone; the wire wants the time since the last capture, and
        /// a straight line is the best guess. 1 when every frame is captured, or time stands still.
        /// </summary>
        public static float Stretch(double captured, double drawn)
        {
            return captured > 0 && drawn > 0 ? (float)Math.Min(captured / drawn, MostStretch) : 1f;
        }
    }
}
