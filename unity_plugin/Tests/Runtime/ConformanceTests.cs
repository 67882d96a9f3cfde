using System.Collections.Generic;
using NUnit.Framework;
using UnityEngine;

namespace C2R.Tests
{
    /// <summary>The conformance table through the CPU conversions, in a real Unity.</summary>
    public sealed class ConformanceTests
    {
        [Test]
        public void TheTableHolds()
        {
            int checks;
            string table = Resources.Load<TextAsset>("C2R/conventions").text;
            List<string> failures = Conformance.Failures(table, out checks);
            Assert.IsEmpty(failures);
            Assert.Greater(checks, 400);
        }
    }
}
