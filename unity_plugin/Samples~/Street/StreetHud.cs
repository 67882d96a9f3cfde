using UnityEngine;

namespace C2R.Samples
{
    /// <summary>State, rate and latency, drawn over the picture; keys change the prompt.</summary>
    public sealed class StreetHud : MonoBehaviour
    {
        private static readonly string[] Prompts =
        {
            "a city street at noon, people walking, photorealistic",
            "a city street at night in the rain, wet asphalt, lit windows, photorealistic",
            "a city street in thick snow, overcast, photorealistic"
        };

        private C2RRenderer _renderer;
        private int _prompt;

        private void Start()
        {
            _renderer = GetComponent<C2RRenderer>();
        }

        // Keys come as events of the GUI: projects of Unity 6 read no others without a package.
        private void Obey(KeyCode key)
        {
            if (key == KeyCode.Space)
            {
                _prompt = (_prompt + 1) % Prompts.Length;
                _renderer.Settings.prompt = Prompts[_prompt];
            }
            if (key == KeyCode.H) _renderer.Present = !_renderer.Present;
            if (key == KeyCode.R) _renderer.ResetHistory(C2RReset.User);
        }

        private void OnGUI()
        {
            if (Event.current.type == EventType.KeyDown) Obey(Event.current.keyCode);
            C2RStatistics now = _renderer.Statistics;
            GUI.Box(new Rect(8, 8, 640, 64), "");
            GUI.Label(new Rect(16, 12, 624, 20), _renderer.State + ": " + _renderer.StatusText);
            GUI.Label(
                new Rect(16, 32, 624, 20),
                (_renderer.ShowsPicture ? "picture, " : "coarse frame, ") + now.Fps.ToString("0.0")
                + " per second, latency " + now.LatencyP50Ms.ToString("0") + " ms");
            GUI.Label(new Rect(16, 50, 624, 20), "Space: next prompt   H: hide the pictures   R: reset");
        }
    }
}
