using C2R.Internal;
using UnityEditor;
using UnityEngine;

namespace C2R.Editor
{
    /// <summary>
    /// Shows the captured buffers and the picture. Captured textures have their first row on top, so they
    /// are upside down here; a picture is the right way up.
    /// </summary>
    internal sealed class BufferWindow : EditorWindow
    {
        private C2RRenderer _renderer;
        private Vector2 _scroll;

        /// <summary>Opens the window.</summary>
        [MenuItem("Window/C2R/Buffers")]
        public static void Open()
        {
            GetWindow<BufferWindow>("C2R buffers").minSize = new Vector2(240, 240);
        }

        private void OnInspectorUpdate()
        {
            if (Application.isPlaying) Repaint();
        }

        private void OnGUI()
        {
            _renderer = (C2RRenderer)EditorGUILayout.ObjectField(
                "Renderer", _renderer, typeof(C2RRenderer), true);
            if (_renderer == null) _renderer = FindFirstObjectByType<C2RRenderer>();
            if (_renderer == null || !Application.isPlaying)
            {
                EditorGUILayout.HelpBox("Play a scene with a C2R Renderer on its camera.", MessageType.Info);
                return;
            }
            _scroll = EditorGUILayout.BeginScrollView(_scroll);
            CaptureSlot capture = _renderer.LatestCapture;
            if (capture != null)
            {
                Show("Coarse frame, as sent (row 0 on top)", capture.Colour);
                Show("Depth, metres", capture.Depth);
                Show("Motion, pixels", capture.Motion);
            }
            Show("Picture", _renderer.PictureTexture);
            EditorGUILayout.EndScrollView();
        }

        private static void Show(string title, Texture texture)
        {
            if (texture == null) return;
            EditorGUILayout.LabelField(
                title + ", " + texture.width + "x" + texture.height, EditorStyles.boldLabel);
            EditorGUI.DrawPreviewTexture(
                GUILayoutUtility.GetAspectRect((float)texture.width / texture.height), texture);
        }
    }
}
