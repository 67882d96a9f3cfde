using C2R.Interop;
using UnityEngine;

namespace C2R.Internal
{
    /// <summary>
    /// Unity's camera to the wire's. Unity: column vectors, OpenGL clip space, view space along -z.
    /// Wire: row vectors, D3D clip space (z from 0 at the near plane to 1), view space along z.
    /// Double precision throughout, since <c>clip_to_prev_clip</c> takes differences of large
    /// numbers.
    /// </summary>
    internal sealed class CameraConverter
    {
        private readonly double[] _viewToClip = new double[16];
        private readonly double[] _worldToView = new double[16];
        private readonly double[] _worldToClip = new double[16];
        private readonly double[] _before = new double[16];
        private readonly double[] _inverse = new double[16];
        private readonly double[] _clipToPrevClip = new double[16];
        private bool _hasBefore;

        /// <summary>Forget the frame before: nothing carries over.</summary>
        public void Cut()
        {
            _hasBefore = false;
        }

        /// <summary>
        /// Fills <paramref name="camera"/> from <c>Camera.nonJitteredProjectionMatrix</c> and
        /// <c>Camera.worldToCameraMatrix</c>, and remembers them for the next frame. False when the
        /// projection is no perspective, which the wire does not know.
        /// </summary>
        public unsafe bool Convert(
            Matrix4x4 projection, Matrix4x4 worldToCamera, out NativeCamera camera)
        {
            camera = new NativeCamera();
            if (Mathf.Abs(projection.m32) < 0.999f) return false;
            Transpose(projection, worldToCamera);
            Matrices.Multiply(_worldToView, _viewToClip, _worldToClip);
            Matrices.Identity(_clipToPrevClip);
            if (_hasBefore && Matrices.Invert(_worldToClip, _inverse))
                Matrices.Multiply(_inverse, _before, _clipToPrevClip);
            _worldToClip.CopyTo(_before, 0);
            _hasBefore = true;
            fixed (NativeCamera* filled = &camera) Fill(filled);
            return true;
        }

        private void Transpose(Matrix4x4 projection, Matrix4x4 worldToCamera)
        {
            for (int row = 0; row < 4; row++)
            {
                for (int column = 0; column < 4; column++)
                {
                    double ahead = row == 2 ? -1 : 1;
                    double clip = column == 2
                        ? 0.5 * ((double)projection[2, row] + projection[3, row])
                        : projection[column, row];
                    _viewToClip[4 * row + column] = ahead * clip;
                    double behind = column == 2 ? -1 : 1;
                    _worldToView[4 * row + column] = behind * worldToCamera[column, row];
                }
            }
        }

        private unsafe void Fill(NativeCamera* camera)
        {
            camera->FovY = 2 * System.Math.Atan(1 / _viewToClip[5]);
            for (int i = 0; i < 3; i++)
            {
                camera->Right[i] = _worldToView[4 * i];
                camera->Up[i] = _worldToView[4 * i + 1];
                camera->Forward[i] = _worldToView[4 * i + 2];
                double position = 0;
                for (int k = 0; k < 3; k++)
                    position -= _worldToView[12 + k] * _worldToView[4 * i + k];
                camera->Position[i] = position;
            }
            for (int i = 0; i < 16; i++)
            {
                camera->ViewToClip[i] = _viewToClip[i];
                camera->ClipToPrevClip[i] = _clipToPrevClip[i];
            }
        }
    }
}
