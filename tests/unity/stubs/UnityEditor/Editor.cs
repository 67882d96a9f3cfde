// What the plugin uses of the editor. Nothing here does anything.
using System;
using UnityEngine;

namespace UnityEditor
{
    public enum MessageType { None, Info, Warning, Error }
    public sealed class CustomEditor : Attribute { public CustomEditor(Type of) { } }
    public sealed class MenuItem : Attribute { public MenuItem(string path, bool validate = false, int priority = 0) { } }
    public sealed class SerializedProperty
    {
        public SerializedProperty FindPropertyRelative(string path) { return null; }
        public bool boolValue { get; set; }
        public bool isExpanded { get; set; }
    }
    public sealed class SerializedObject
    {
        public SerializedProperty FindProperty(string path) { return null; }
        public void Update() { }
        public bool ApplyModifiedProperties() { return true; }
    }
    public class Editor : ScriptableObject
    {
        public UnityEngine.Object target { get { return null; } }
        public SerializedObject serializedObject { get { return null; } }
        public virtual void OnInspectorGUI() { }
        public virtual bool RequiresConstantRepaint() { return false; }
    }
    public class ScriptableObject : UnityEngine.Object { }
    public class EditorWindow : ScriptableObject
    {
        public static T GetWindow<T>(string title) where T : EditorWindow, new() { return new T(); }
        public Vector2 minSize { get; set; }
        public Rect position { get; set; }
        public void Repaint() { }
    }
    public static class EditorGUILayout
    {
        public static bool PropertyField(SerializedProperty one) { return true; }
        public static void LabelField(string label, string value) { }
        public static void LabelField(string label, GUIStyle style) { }
        public static void HelpBox(string text, MessageType type) { }
        public static void Space() { }
        public static Vector2 BeginScrollView(Vector2 at) { return at; }
        public static void EndScrollView() { }
        public static UnityEngine.Object ObjectField(string label, UnityEngine.Object value, Type type, bool scene) { return value; }
    }
    public static class EditorStyles { public static GUIStyle boldLabel { get { return null; } } }
    public static class EditorGUI
    {
        public static void DrawPreviewTexture(Rect where, Texture texture) { }
    }
    public static class EditorUtility
    {
        public static string OpenFilePanel(string title, string folder, string extension) { return ""; }
        public static bool DisplayDialog(string title, string text, string yes) { return true; }
    }
    public static class AssetDatabase { public static void Refresh() { } }
    public static class Selection { public static UnityEngine.Object activeObject { get; set; } }
    public static class Undo
    {
        public static T AddComponent<T>(GameObject to) where T : Component { return to.AddComponent<T>(); }
    }
}

namespace UnityEngine
{
    public static class GUILayout { public static bool Button(string text) { return false; } }
    public static class GUILayoutUtility { public static Rect GetAspectRect(float aspect) { return new Rect(); } }
}
