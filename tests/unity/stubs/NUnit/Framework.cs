// What the plugin's own tests use of NUnit and Unity's test runner. Nothing here does anything.
using System;
using System.Collections;

namespace NUnit.Framework
{
    public sealed class TestAttribute : Attribute { }
    public static class Assert
    {
        public static void IsEmpty(IEnumerable those) { }
        public static void AreEqual(object wanted, object found) { }
        public static void IsTrue(bool holds, string otherwise) { }
        public static void IsNull(object one) { }
        public static void Ignore(string why) { }
        public static void Greater(int one, int other) { }
    }
}

namespace UnityEngine.TestTools
{
    public sealed class UnityTestAttribute : Attribute { }
}
