using System;
using System.Collections.Generic;
using System.Linq;
using C2R.Internal;
using C2R.Interop;
using UnityEngine;

namespace C2R.Tests
{
    using Table = Dictionary<string, object>;

    /// <summary>
    /// Runs the conformance table (tests/conformance) through the plugin's CPU conversions. No test
    /// framework: called by a test in a real Unity, and by a headless program.
    /// </summary>
    public sealed class Conformance
    {
        private readonly Table _table;
        private readonly List<string> _failures = new List<string>();
        private readonly double _relative;
        private readonly double _pixels;
        private readonly double _matrix;
        private int _checks;

        private Conformance(Table table)
        {
            _table = table;
            Table tolerance = Part(table, "tolerance");
            _relative = Number(tolerance, "relative");
            _pixels = Number(tolerance, "pixels");
            _matrix = Number(tolerance, "matrix");
        }

        /// <summary>What does not agree; empty when all does. <paramref name="checks"/> were made.</summary>
        public static List<string> Failures(string json, out int checks)
        {
            var run = new Conformance(TableReader.Read(json));
            run.Origin();
            run.Colour();
            foreach (object one in (List<object>)run._table["depth"]) run.Depth((Table)one);
            run.Motion();
            run.Camera();
            run.Reset();
            checks = run._checks;
            return run._failures;
        }

        private void Origin()
        {
            Table origin = Part(_table, "origin");
            int height = (int)Number(origin, "height"), row = (int)Number(origin, "width") * 4;
            double[] given = Numbers(origin, "bottom_first_rgba8");
            double[] wanted = Numbers(origin, "top_first_rgba8");
            for (int i = 0; i < wanted.Length; i++)
            {
                int source = Canonical.SourceRow(i / row, height) * row + i % row;
                Equal("origin", given[source], wanted[i], 0);
            }
        }

        private void Colour()
        {
            Table colour = Part(_table, "colour");
            double[] linear = Numbers(colour, "linear"), wanted = Numbers(colour, "srgb8");
            for (int i = 0; i < linear.Length; i++)
                Equal("colour", Canonical.Byte(Canonical.Srgb((float)linear[i])), wanted[i], 0);
            for (int value = 0; value < 256; value++)
            {
                float there = Canonical.Linear(value / 255f);
                Equal("colour and back", Canonical.Byte(Canonical.Srgb(there)), value, 0);
            }
        }

        private void Depth(Table given)
        {
            var planes = new DepthPlanes
            {
                Near = (float)Number(given, "near_plane"),
                Far = (float)Number(given, "far_plane"),
                MetresPerUnit = (float)Number(given, "view_space_to_meters"),
                Inverted = (bool)given["depth_inverted"],
                Infinite = (bool)given["depth_infinite"]
            };
            double[] stored = Numbers(given, "stored"), wanted = Numbers(given, "metres");
            for (int i = 0; i < stored.Length; i++)
            {
                double metres = Canonical.Metres((float)stored[i], planes);
                Equal("depth, " + given["name"], metres, wanted[i], _relative * wanted[i]);
            }
            float cleared = Canonical.Metres((float)Number(given, "stored_without_surface"), planes);
            Require("no surface, " + given["name"], float.IsPositiveInfinity(cleared));
        }

        private void Motion()
        {
            Table motion = Part(_table, "motion");
            int width = (int)Number(motion, "width"), height = (int)Number(motion, "height");
            foreach (object one in (List<object>)motion["points"])
            {
                double[] uv = Numbers((Table)one, "unity_uv"), wanted = Numbers((Table)one, "pixels");
                var given = new Vector2((float)uv[0], (float)uv[1]);
                Vector2 moved = Canonical.MotionPixels(given, width, height, false, 1f);
                Equal("motion x", moved.x, wanted[0], _pixels);
                Equal("motion y", moved.y, wanted[1], _pixels);
                Before(Numbers((Table)one, "pixel"), uv, moved, width, height);
                Vector2 thrice = Canonical.MotionPixels(given, width, height, false, 3f);
                Equal("stretched motion x", thrice.x, 3 * wanted[0], 3 * _pixels);
                Equal("stretched motion y", thrice.y, 3 * wanted[1], 3 * _pixels);
                Vector2 reset = Canonical.MotionPixels(given, width, height, true, 1f);
                Require("motion after a reset", float.IsNaN(reset.x) && float.IsNaN(reset.y));
            }
            Vector2 marked = Canonical.MotionPixels(new Vector2(2f, 0f), width, height, false, 1f);
            Require("motion that is marked as missing", float.IsNaN(marked.x));
            Vector2 far = Canonical.MotionPixels(new Vector2(1f, 0f), 4096, height, false, 64f);
            Require("motion beyond a half", float.IsNaN(far.x) && float.IsNaN(far.y));
            Equal("stretch of every frame", Canonical.Stretch(0.02, 0.02), 1, 0);
            Equal("stretch of every third frame", Canonical.Stretch(0.06, 0.02), 3, 1e-6);
            Equal("stretch of a game that stands still", Canonical.Stretch(0, 0), 1, 0);
        }

        // As Unity uses its motion: the place before is at uv - motion of a texture whose row 0 is
        // the bottom. Both places are computed in the flipped image, where v is 1 - y / height.
        private void Before(double[] pixel, double[] uv, Vector2 moved, int width, int height)
        {
            double u = pixel[0] / width - uv[0], v = 1 - pixel[1] / height - uv[1];
            Equal("place before, x", pixel[0] + moved.x, u * width, _pixels);
            Equal("place before, y", pixel[1] + moved.y, (1 - v) * height, _pixels);
        }

        private unsafe void Camera()
        {
            Table unity = Part(Part(_table, "camera"), "unity");
            var converter = new CameraConverter();
            NativeCamera camera;
            Require("camera before", Convert(converter, Part(unity, "before"), out camera));
            double[] none = Numbers(Part(_table, "reset"), "clip_to_prev_clip_after");
            Matrix("first clip_to_prev_clip", camera.ClipToPrevClip, none);
            Require("camera now", Convert(converter, Part(unity, "now"), out camera));
            Table wire = Part(unity, "wire");
            Vector("position", camera.Position, Numbers(wire, "position"));
            Vector("right", camera.Right, Numbers(wire, "right"));
            Vector("up", camera.Up, Numbers(wire, "up"));
            Vector("forward", camera.Forward, Numbers(wire, "forward"));
            Equal("fov_y", camera.FovY, Number(wire, "fov_y"), 1e-5);
            Matrix("view_to_clip", camera.ViewToClip, Numbers(wire, "view_to_clip"));
            // Unity's matrices are single precision; their difference is as good as that.
            Matrix("clip_to_prev_clip", camera.ClipToPrevClip, Numbers(wire, "clip_to_prev_clip"), 2e-3);
            StaticPoints(camera);
            converter.Cut();
            Require("camera after a cut", Convert(converter, Part(unity, "now"), out camera));
            Matrix("clip_to_prev_clip after a cut", camera.ClipToPrevClip, none);
            Matrix4x4 flat = Matrix4x4.identity;
            Require("no perspective", !converter.Convert(flat, flat, out camera));
        }

        private unsafe void StaticPoints(NativeCamera camera)
        {
            Table points = Part(_table, "static_points");
            double width = Number(points, "width"), height = Number(points, "height");
            foreach (object one in (List<object>)points["points"])
            {
                var point = (Table)one;
                double x = Number(point, "column") + 0.5, y = Number(point, "row") + 0.5;
                double metres = Number(point, "metres");
                double z = (metres * camera.ViewToClip[10] + camera.ViewToClip[14]) / metres;
                double[] now = { 2 * x / width - 1, 1 - 2 * y / height, z, 1 };
                var then = new double[4];
                for (int column = 0; column < 4; column++)
                {
                    for (int row = 0; row < 4; row++)
                        then[column] += now[row] * camera.ClipToPrevClip[4 * row + column];
                }
                double[] wanted = Numbers(point, "pixels");
                Equal("static x", (then[0] / then[3] + 1) / 2 * width - x, wanted[0], 10 * _pixels);
                Equal("static y", (1 - then[1] / then[3]) / 2 * height - y, wanted[1], 10 * _pixels);
            }
        }

        private void Reset()
        {
            Table reset = Part(_table, "reset");
            Table numbers = Part(reset, "numbers");
            foreach (KeyValuePair<string, object> one in Part(reset, "events"))
            {
                var happened = (ViewEvent)Enum.Parse(typeof(ViewEvent), Pascal(one.Key));
                int number = (int)ResetTracker.ReasonOf(happened);
                Equal("reset, " + one.Key, number, Number(numbers, (string)one.Value), 0);
            }
            Require("as many events", Part(reset, "events").Count == Enum.GetValues(typeof(ViewEvent)).Length);
            var tracker = new ResetTracker();
            tracker.Begin(ViewEvent.FirstFrame);
            Require("the first frame", tracker.Take(Vector3.zero, 20f) == C2RReset.LevelLoad);
            Require("the next one", tracker.Take(Vector3.one, 20f) == C2RReset.None);
            Require("a leap", tracker.Take(Vector3.one * 100f, 20f) == C2RReset.Teleport);
            tracker.Note(C2RReset.Cut);
            Require("a cut", tracker.Take(Vector3.one * 100f, 20f) == C2RReset.Cut);
        }

        private static bool Convert(CameraConverter converter, Table given, out NativeCamera camera)
        {
            return converter.Convert(
                Unitys(Numbers(given, "projection")), Unitys(Numbers(given, "world_to_camera")), out camera);
        }

        private static Matrix4x4 Unitys(double[] rows)
        {
            var matrix = new Matrix4x4();
            for (int i = 0; i < 16; i++) matrix[i / 4, i % 4] = (float)rows[i];
            return matrix;
        }

        private unsafe void Vector(string name, double* actual, double[] wanted)
        {
            for (int i = 0; i < 3; i++) Equal(name, actual[i], wanted[i], 1e-5);
        }

        private unsafe void Matrix(string name, double* actual, double[] wanted, double within = 0)
        {
            for (int i = 0; i < 16; i++)
                Equal(name + " [" + i + "]", actual[i], wanted[i], within > 0 ? within : _matrix);
        }

        private void Equal(string name, double actual, double wanted, double within)
        {
            Require(name + ": " + actual + ", not " + wanted, Math.Abs(actual - wanted) <= within);
        }

        private void Require(string name, bool holds)
        {
            _checks++;
            if (!holds) _failures.Add(name);
        }

        private static string Pascal(string name)
        {
            return string.Concat(name.Split('_').Select(word => char.ToUpperInvariant(word[0]) + word.Substring(1)));
        }

        private static Table Part(Table table, string name)
        {
            return (Table)table[name];
        }

        private static double Number(Table table, string name)
        {
            return (double)table[name];
        }

        private static double[] Numbers(Table table, string name)
        {
            return ((List<object>)table[name]).Cast<double>().ToArray();
        }
    }
}
