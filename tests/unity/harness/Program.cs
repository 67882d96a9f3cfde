// Stands in for Unity: reads one command per line and answers each with a line of JSON. Commands that
// wait answer "done": false after Play.LimitS.
//
//   C2R.Tests.exe PACKAGE
//   start KEY=VALUE...     a camera with the component, those settings
//   set KEY=VALUE...       change settings
//   play FRAMES            draw so many frames
//   until STATE            draw until the component is in that state
//   connect STATE          the same without drawing, so that no frame is captured
//   shows WHAT             draw until the screen shows "picture" or "coarse"
//   says TEXT              draw until the status text contains it
//   stream FRAMES [OPEN]   draw frames as they can be sent; then until all but OPEN (0) of them, which
//                          wait in a chunk that is not full yet, are answered and shown
//   status | resources | conform FILE | cost SERVER WIDTH HEIGHT FRAMES
//   reload SERVER CYCLES EVERY     domain reloads; each EVERYth without OnDisable first
//   disable | enable | scene KEEP | geometry | faults COUNT | reset REASON | old (a card that
//                          cannot read back) | restart | destroy | quit
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using C2R.Internal;
using C2R.Interop;
using C2R.Tests;
using UnityEngine.Headless;
using UnityEngine.Rendering;

namespace C2R.Headless
{
    internal static class Program
    {
        private static string _package;
        private static Play _play;

        public static void Prepare(string package)
        {
            Player.Package = package;
            SoftwareShaders.Register();
            TestScene.Show();
        }

        private static int Main(string[] arguments)
        {
            _package = arguments[0];
            Prepare(_package);
            string line;
            while ((line = Console.In.ReadLine()) != null && line != "quit")
            {
                string[] words = line.Split(' ');
                Console.Out.WriteLine(Json(Run(words[0], words.Skip(1).ToArray())));
                Console.Out.Flush();
            }
            Player.DisableAll();
            return 0;
        }

        private static Dictionary<string, object> Run(string command, string[] words)
        {
            bool done = true;
            switch (command)
            {
                case "start": _play = new Play(Pairs(words)); break;
                case "set": _play.Set(Pairs(words)); break;
                case "play": for (int i = 0; i < int.Parse(words[0]); i++) _play.Frame(true); break;
                case "until": done = _play.Until(() => _play.Renderer.State.ToString() == words[0], true); break;
                case "connect": done = _play.Until(() => _play.Renderer.State.ToString() == words[0], false); break;
                case "shows": done = _play.Until(() => _play.Renderer.ShowsPicture == (words[0] == "picture"), true); break;
                case "says": done = _play.Until(() => _play.Renderer.StatusText.Contains(Uri.UnescapeDataString(words[0])), true); break;
                case "stream": done = Stream(int.Parse(words[0]), words.Length > 1 ? int.Parse(words[1]) : 0); break;
                case "disable": _play.Renderer.enabled = false; break;
                case "enable": _play.Renderer.enabled = true; break;
                case "scene": Player.LoadScene(words[0] == "1"); break;
                case "geometry": TestScene.Geometry = true; break;
                case "faults": AsyncGPUReadback.Faults = int.Parse(words[0]); break;
                case "reset": _play.Renderer.ResetHistory((C2RReset)Enum.Parse(typeof(C2RReset), words[0])); break;
                case "old": Player.ReadsBack = false; break;
                case "restart": _play.Renderer.Reconnect(); break;
                case "destroy": _play.Destroy(); break;
                case "conform": return Conform(words[0]);
                case "cost": return Costs(words);
                case "buffers": return new Dictionary<string, object> { { "buffers", Cost.Buffers() } };
                case "reload": return Reloads(words[0], int.Parse(words[1]), int.Parse(words[2]));
                case "resources": return Resources();
                case "status": break;
                default: throw new ArgumentException("no command " + command);
            }
            return Status(done);
        }

        private static bool Stream(int count, int open)
        {
            if (!_play.Stream(count)) return false;
            return _play.Until(() => _play.Open <= open && _play.Renderer.Pictures.Count == 0, false);
        }

        private static Dictionary<string, object> Status(bool done)
        {
            if (_play == null) return new Dictionary<string, object> { { "done", done } };
            C2RRenderer renderer = _play.Renderer;
            C2RStatistics numbers = _play.Numbers();
            bool screen = Player.OnScreen != null && ReferenceEquals(Player.OnScreen, renderer.PictureTexture);
            return new Dictionary<string, object>
            {
                { "done", done }, { "state", renderer.State.ToString() }, { "error", renderer.Error.ToString() },
                { "text", renderer.StatusText }, { "notice", renderer.Notice ?? "" },
                { "shows", renderer.ShowsPicture ? "picture" : "coarse" }, { "screen", screen ? "picture" : "coarse" },
                { "submitted", numbers.Submitted }, { "rendered", numbers.Rendered }, { "failed", numbers.Failed },
                { "dropped", numbers.Dropped }, { "connections", numbers.Connections },
                { "fps", numbers.Fps }, { "latency_ms", numbers.LatencyP50Ms }, { "delay_ms", renderer.DelayMs },
                { "unseen", renderer.Pictures == null ? 0L : renderer.Pictures.Unseen }, { "pictures", _play.Shown }
            };
        }

        private static Dictionary<string, object> Conform(string file)
        {
            int checks;
            List<string> failures = Conformance.Failures(File.ReadAllText(file), out checks);
            return new Dictionary<string, object> { { "checks", checks }, { "failures", failures } };
        }

        private static Dictionary<string, object> Costs(string[] words)
        {
            List<double> took = new List<double>(), thread = new List<double>();
            long faults = Cost.Measure(words[0], int.Parse(words[1]), int.Parse(words[2]), int.Parse(words[3]), took, thread);
            return new Dictionary<string, object>
            {
                { "frames", took.Count }, { "p50_ms", took[took.Count / 2] },
                { "p99_ms", took[(int)(took.Count * 0.99)] }, { "max_ms", took[took.Count - 1] },
                { "thread_p50_ms", thread[took.Count / 2] }, { "thread_p99_ms", thread[(int)(took.Count * 0.99)] },
                { "late_faults", faults }
            };
        }

        private static Dictionary<string, object> Reloads(string server, int cycles, int every)
        {
            int streamed = 0;
            for (int i = 1; i <= cycles; i++)
            {
                if (Reload.Cycle(_package, server, i, i % every != 0)) streamed++;
            }
            Dictionary<string, object> left = Resources();
            left["streamed"] = streamed;
            return left;
        }

        private static Dictionary<string, object> Resources()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return new Dictionary<string, object>
            {
                { "threads", Directory.GetDirectories("/proc/self/task").Length },
                { "handles", Directory.GetFileSystemEntries("/proc/self/fd").Length }, { "held", Player.Held },
                { "library", NativeLibraryCheck.Fault ?? NativeLibraryCheck.VersionText }
            };
        }

        private static Dictionary<string, string> Pairs(IEnumerable<string> words)
        {
            return words.Select(word => word.Split(new[] { '=' }, 2))
                .ToDictionary(pair => pair[0], pair => Uri.UnescapeDataString(pair[1]));
        }

        private static string Json(object value)
        {
            var text = value as string;
            if (text != null) return Quoted(text);
            if (value is bool) return (bool)value ? "true" : "false";
            if (value is double) return ((double)value).ToString("R");
            var list = value as List<string>;
            if (list != null) return "[" + string.Join(",", list.Select(Quoted)) + "]";
            var pictures = value as SortedDictionary<ulong, string>;
            if (pictures != null) return Map(pictures.Select(one => Quoted(one.Key.ToString()) + ":" + Quoted(one.Value)));
            var table = value as Dictionary<string, object>;
            return table == null ? value.ToString() : Map(table.Select(one => Quoted(one.Key) + ":" + Json(one.Value)));
        }

        private static string Map(IEnumerable<string> pairs)
        {
            return "{" + string.Join(",", pairs) + "}";
        }

        private static string Quoted(string text)
        {
            var quoted = new StringBuilder("\"");
            foreach (char one in text)
            {
                if (one == '"' || one == '\\') quoted.Append('\\');
                if (one < ' ') quoted.Append(' ');
                else quoted.Append(one);
            }
            return quoted.Append('"').ToString();
        }
    }
}
