// Domain reloads as in the editor: code and statics are unloaded, the process stays.
using System;
using System.Collections.Generic;
using UnityEngine.Headless;

namespace C2R.Headless
{
    internal sealed class Reload : MarshalByRefObject
    {
        /// <summary>
        /// Loads everything into a domain, streams there, and unloads it. With
        /// <paramref name="disable"/> behaviours are disabled first, as the editor does it.
        /// </summary>
        public static bool Cycle(string package, string server, int number, bool disable)
        {
            AppDomain domain = AppDomain.CreateDomain("reload " + number);
            try
            {
                Type type = typeof(Reload);
                var there = (Reload)domain.CreateInstanceAndUnwrap(type.Assembly.FullName, type.FullName);
                return there.Stream(package, server, disable);
            }
            finally
            {
                AppDomain.Unload(domain);
            }
        }

        private bool Stream(string package, string server, bool disable)
        {
            Program.Prepare(package);
            var play = new Play(new Dictionary<string, string>
            {
                { "server", server }, { "width", "64" }, { "height", "32" }, { "fps", "60" }
            });
            bool streamed = play.Until(() => play.Renderer.State == C2RState.Streaming, true)
                            && play.Stream(2);
            if (disable) Player.DisableAll();
            return streamed && (!disable || Player.Held == 0);
        }
    }
}
