using UnityEngine;

namespace C2R.Samples
{
    /// <summary>Follows a walker. Their jump back to the start of the street is a cut.</summary>
    public sealed class StreetCamera : MonoBehaviour
    {
        private const float Behind = 5f;
        private const float Above = 2.2f;
        private const float Jump = 10f;

        private Transform _followed;
        private Vector3 _last;

        /// <summary>Whom to follow.</summary>
        public void Follow(Transform followed)
        {
            _followed = followed;
            _last = followed.position;
        }

        private void LateUpdate()
        {
            Vector3 at = _followed.position;
            if ((at - _last).magnitude > Jump) GetComponent<C2RRenderer>().ResetHistory(C2RReset.Cut);
            _last = at;
            Vector3 ahead = _followed.rotation * Vector3.forward;
            transform.position = at - ahead * Behind + Vector3.up * Above;
            transform.LookAt(at + ahead * 4f + Vector3.up * 1.2f);
        }
    }
}
