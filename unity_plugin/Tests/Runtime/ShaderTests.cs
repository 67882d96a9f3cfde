using C2R.Internal;
using NUnit.Framework;
using UnityEngine;
using UnityEngine.Experimental.Rendering;
using UnityEngine.Rendering;

namespace C2R.Tests
{
    /// <summary>
    /// The canonicalisation shader compared with its reference implementation in C#; needs a graphics
    /// card, so a run with -nographics skips it.
    /// </summary>
    public sealed class ShaderTests
    {
        private const int Width = 64;
        private const int Height = 48;

        [Test]
        public void ColourIsTurnedOverAndEncodedAsTheReferenceDoes()
        {
            if (SystemInfo.graphicsDeviceType == GraphicsDeviceType.Null)
            {
                Assert.Ignore("no graphics card");
                return;
            }
            var holder = new GameObject("camera", typeof(Camera));
            RenderTexture source = Source();
            using (var canonicaliser = new Canonicaliser())
            using (var slot = new CaptureSlot(new Vector2Int(Width, Height), C2RSideChannels.None))
            {
                var sources = new CaptureSources { Colour = source, Scale = Vector2.one };
                var commands = new CommandBuffer();
                canonicaliser.Record(commands, slot, ref sources, holder.GetComponent<Camera>(), false);
                slot.Request(commands, false, false);
                Graphics.ExecuteCommandBuffer(commands);
                AsyncGPUReadback.WaitAllRequests();
                slot.Finish();
                Compare(slot);
            }
            Object.DestroyImmediate(holder);
            Object.DestroyImmediate(source);
        }

        private static RenderTexture Source()
        {
            var light = new Texture2D(Width, Height, GraphicsFormat.R32G32B32A32_SFloat, TextureCreationFlags.None);
            for (int y = 0; y < Height; y++)
            {
                for (int x = 0; x < Width; x++) light.SetPixel(x, y, Light(x, y));
            }
            light.Apply(false);
            var source = new RenderTexture(Width, Height, 0, GraphicsFormat.R32G32B32A32_SFloat);
            Graphics.Blit(light, source);
            Object.DestroyImmediate(light);
            return source;
        }

        private static Color Light(int x, int y)
        {
            return new Color(x / 63f, y / 47f, x * y / (63f * 47f));
        }

        private static unsafe void Compare(CaptureSlot slot)
        {
            bool linear = QualitySettings.activeColorSpace == ColorSpace.Linear;
            var bytes = (byte*)slot.Frame.Colour;
            for (int row = 0; row < Height; row++)
            {
                for (int x = 0; x < Width; x++)
                {
                    Color light = Light(x, Canonical.SourceRow(row, Height));
                    float value = linear ? Canonical.Srgb(light.g) : light.g;
                    int apart = bytes[4 * (row * Width + x) + 1] - Canonical.Byte(value);
                    Assert.IsTrue(apart >= -1 && apart <= 1, "row " + row + ", column " + x);
                }
            }
        }
    }
}
