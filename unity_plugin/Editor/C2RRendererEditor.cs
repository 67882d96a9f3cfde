using UnityEditor;
using UnityEngine;

namespace C2R.Editor
{
    /// <summary>The component's inspector: settings, and state and statistics while playing.</summary>
    [CustomEditor(typeof(C2RRenderer))]
    internal sealed class C2RRendererEditor : UnityEditor.Editor
    {
        private static readonly string[] Session =
        {
            "server", "tls", "rootCaFile", "tokenFile", "resolution", "framesPerSecond", "sideChannels"
        };

        private static readonly string[] Parameters =
        {
            "prompt", "negativePrompt", "strength", "fixedSeed", "seed"
        };

        private static readonly string[] Times =
        {
            "lateAfter", "maxDelay", "retryAfterFailure", "silence", "teleportDistance"
        };

        /// <inheritdoc/>
        public override bool RequiresConstantRepaint()
        {
            return Application.isPlaying;
        }

        /// <inheritdoc/>
        public override void OnInspectorGUI()
        {
            var renderer = (C2RRenderer)target;
            DrawStatus(renderer);
            serializedObject.Update();
            SerializedProperty settings = serializedObject.FindProperty("settings");
            Draw("Server and session", settings, Session);
            Draw("Render parameters", settings, Parameters);
            Draw("Times", settings, Times);
            EditorGUILayout.PropertyField(serializedObject.FindProperty("present"));
            EditorGUILayout.PropertyField(serializedObject.FindProperty("sourceIsTopFirst"));
            serializedObject.ApplyModifiedProperties();
            if (GUILayout.Button("Show buffers")) BufferWindow.Open();
        }

        private static void Draw(string title, SerializedProperty settings, string[] names)
        {
            EditorGUILayout.Space();
            EditorGUILayout.LabelField(title, EditorStyles.boldLabel);
            foreach (string name in names)
                EditorGUILayout.PropertyField(settings.FindPropertyRelative(name));
        }

        private static void DrawStatus(C2RRenderer renderer)
        {
            if (!Application.isPlaying)
            {
                EditorGUILayout.HelpBox("Play to connect. Start the server first: c2r serve", MessageType.Info);
                return;
            }
            EditorGUILayout.HelpBox(renderer.State + ": " + renderer.StatusText, KindOf(renderer.State));
            if (!string.IsNullOrEmpty(renderer.Notice))
                EditorGUILayout.HelpBox(renderer.Notice, MessageType.Warning);
            C2RStatistics now = renderer.Statistics;
            EditorGUILayout.LabelField("On the screen", renderer.ShowsPicture ? "picture" : "coarse frame");
            EditorGUILayout.LabelField("Pictures per second", now.Fps.ToString("0.0"));
            EditorGUILayout.LabelField(
                "Latency (p50 / p99)", now.LatencyP50Ms.ToString("0") + " / " + now.LatencyP99Ms.ToString("0") + " ms");
            EditorGUILayout.LabelField("Shown behind capture by", renderer.DelayMs.ToString("0") + " ms");
            EditorGUILayout.LabelField("Server's time for a frame", now.ServerMs.ToString("0") + " ms");
            EditorGUILayout.LabelField(
                "Frames", now.Submitted + " sent, " + now.Rendered + " rendered, " + now.Dropped + " dropped, "
                          + now.Failed + " failed");
            if (GUILayout.Button("Reconnect")) renderer.Reconnect();
        }

        private static MessageType KindOf(C2RState state)
        {
            if (state == C2RState.Failed) return MessageType.Error;
            return state == C2RState.Reconnecting ? MessageType.Warning : MessageType.Info;
        }
    }
}
