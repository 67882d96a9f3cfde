// The package's shaders for the stubs' textures: the same passes, by the reference implementation in C#.
using System;
using C2R.Internal;
using UnityEngine;
using UnityEngine.Headless;

namespace C2R.Headless
{
    internal static class SoftwareShaders
    {
        public static void Register()
        {
            Player.Shaders["C2R/C2RCanonical"] = Canonicalise;
        }

        private static void Canonicalise(
            int pass, Func<string, Vector4> value, Func<string, Texture> texture, RenderTexture target)
        {
            string name = pass < 3 ? "_C2RSource"
                : pass == 3 ? "_CameraDepthTexture"
                : pass == 4 ? "_MotionVectorTexture" : "_CameraMotionVectorsTexture";
            var source = (RenderTexture)texture(name);
            bool flip = value("_C2RFlip").x > 0.5f, encode = value("_C2REncode").x > 0.5f;
            Vector4 planes = value("_C2RPlanes"), size = value("_C2RSize");
            var depth = new DepthPlanes
            {
                Near = planes.x, Far = planes.y, MetresPerUnit = planes.z, Infinite = planes.w > 0.5f, Inverted = true
            };
            for (int row = 0; row < target.height; row++)
            {
                int from = row * source.height / target.height;
                if (flip) from = Canonical.SourceRow(from, source.height);
                for (int column = 0; column < target.width; column++)
                {
                    int there = 4 * (from * source.width + column * source.width / target.width);
                    int here = 4 * (row * target.width + column);
                    if (pass == 0) Colour(source.Texels, there, target.Texels, here, encode);
                    else if (pass == 1 || pass == 3)
                        target.Texels[here] = Canonical.Metres(source.Texels[there], depth);
                    else Motion(source.Texels, there, target.Texels, here, size);
                }
            }
        }

        private static void Colour(float[] source, int there, float[] target, int here, bool encode)
        {
            for (int c = 0; c < 3; c++)
            {
                float light = source[there + c];
                target[here + c] = encode ? Canonical.Srgb(light) : Mathf.Clamp01(light);
            }
            target[here + 3] = 1f;
        }

        private static void Motion(float[] source, int there, float[] target, int here, Vector4 size)
        {
            var uv = new Vector2(source[there], source[there + 1]);
            Vector2 pixels = Canonical.MotionPixels(uv, (int)size.x, (int)size.y, size.z > 0.5f, size.w);
            target[here] = pixels.x;
            target[here + 1] = pixels.y;
        }
    }
}
