using UnityEngine;

namespace C2R.Samples
{
    /// <summary>Moves along the street in a loop, with a walker's bob.</summary>
    public sealed class Mover : MonoBehaviour
    {
        private float _speed;
        private float _length;
        private float _bob;
        private float _ground;

        /// <summary>Metres per second, backwards below 0; metres of street; metres of bobbing.</summary>
        public void Begin(float speed, float length, float bob)
        {
            _speed = speed;
            _length = length;
            _bob = bob;
            _ground = transform.localPosition.y;
            transform.localRotation = Quaternion.Euler(0f, speed < 0f ? 180f : 0f, 0f);
        }

        private void Update()
        {
            Vector3 at = transform.localPosition;
            at.z = Mathf.Repeat(at.z + _speed * Time.deltaTime, _length);
            at.y = _ground + _bob * Mathf.Abs(Mathf.Sin(4f * at.z));
            transform.localPosition = at;
        }
    }
}
