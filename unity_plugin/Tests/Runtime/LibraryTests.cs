using System.Collections;
using C2R.Interop;
using NUnit.Framework;
using UnityEngine;
using UnityEngine.TestTools;

namespace C2R.Tests
{
    /// <summary>The native library in a real Unity: it loads, and a component lives and dies.</summary>
    public sealed class LibraryTests
    {
        [Test]
        public void TheLibraryIsTheOneThatTheCodeWasWrittenFor()
        {
            Assert.IsNull(NativeLibraryCheck.Fault);
        }

        [UnityTest]
        public IEnumerator WithoutAServerItSaysSoAndShowsTheCoarseFrame()
        {
            var holder = new GameObject("camera", typeof(Camera));
            var renderer = holder.AddComponent<C2RRenderer>();
            renderer.Settings.server = "127.0.0.1:1";
            float end = Time.time + 20f;
            while (renderer.State != C2RState.Reconnecting && Time.time < end) yield return null;
            Assert.AreEqual(C2RState.Reconnecting, renderer.State);
            Assert.AreEqual(false, renderer.ShowsPicture);
            renderer.enabled = false;
            Assert.AreEqual(C2RState.Off, renderer.State);
            Object.DestroyImmediate(holder);
        }
    }
}
