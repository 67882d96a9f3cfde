using System.IO;
using UnityEditor;
using UnityEngine;

namespace C2R.Editor
{
    /// <summary>Copies the native client to where Unity looks for it.</summary>
    internal static class NativeLibraryInstaller
    {
        private const string Title = "C2R native library";

        /// <summary>Asks for the file and copies it into the project.</summary>
        [MenuItem("Tools/C2R/Install Native Library")]
        public static void Install()
        {
            string source = EditorUtility.OpenFilePanel(
                "libc2r_client.so, c2r_client.dll or libc2r_client.dylib (make native: build/native)", "", "");
            if (string.IsNullOrEmpty(source)) return;
            string name = Path.GetFileName(source);
            if (name.IndexOf("c2r_client") < 0)
            {
                EditorUtility.DisplayDialog(Title, name + " is not the native client.", "OK");
                return;
            }
            string folder = Path.Combine(Application.dataPath, "Plugins", "x86_64");
            Directory.CreateDirectory(folder);
            File.Copy(source, Path.Combine(folder, name), true);
            AssetDatabase.Refresh();
            EditorUtility.DisplayDialog(
                Title, "Copied to " + folder + ". If one was loaded already, restart the editor.", "OK");
        }
    }
}
