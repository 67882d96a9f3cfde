using System;
using System.IO;
using C2R.Interop;

namespace C2R.Internal
{
    /// <summary>Settings into the native client's structures.</summary>
    internal static unsafe class SessionOptions
    {
        private const string ClientName = "c2r-unity 0.1.0";

        /// <summary>
        /// A client that begins to connect. <c>NativeException</c> for a value that is refused,
        /// <c>IOException</c> and <c>UnauthorizedAccessException</c> for a file that cannot be read.
        /// </summary>
        public static NativeClient Connect(C2RSettings settings)
        {
            using (var texts = new NativeTexts())
            {
                NativeOptions options;
                NativeMethods.c2r_init_options(&options);
                options.Address = texts.Keep(settings.server);
                options.Tls = settings.tls ? 1 : 0;
                options.RootCa = texts.Keep(FileText(settings.rootCaFile));
                options.Token = texts.Keep(Token(settings));
                options.SilenceS = settings.silence;
                NativeSession session;
                NativeMethods.c2r_init_session(&session);
                Fill(ref session, settings);
                session.Prompt = texts.Keep(settings.prompt);
                session.NegativePrompt = texts.Keep(settings.negativePrompt);
                session.Client = texts.Keep(ClientName);
                return new NativeClient(ref options, ref session);
            }
        }

        private static void Fill(ref NativeSession session, C2RSettings settings)
        {
            session.Width = (uint)Math.Max(0, settings.resolution.x);
            session.Height = (uint)Math.Max(0, settings.resolution.y);
            session.Fps = settings.framesPerSecond;
            session.Strength = settings.strength;
            session.HasSeed = settings.fixedSeed ? 1 : 0;
            session.Seed = (ulong)settings.seed;
            session.SideChannels = (uint)settings.sideChannels;
            session.PicturePixels = (uint)NativePixels.Rgba8;
            session.PictureRows = (uint)NativeRows.BottomFirst;
        }

        private static string Token(C2RSettings settings)
        {
            if (!string.IsNullOrEmpty(settings.token)) return settings.token;
            return FileText(settings.tokenFile).Trim();
        }

        private static string FileText(string path)
        {
            return string.IsNullOrEmpty(path) ? "" : File.ReadAllText(path);
        }
    }
}
