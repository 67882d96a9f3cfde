using System;

namespace C2R.Internal
{
    /// <summary>4x4 matrices of doubles, 16 values row after row.</summary>
    internal static unsafe class Matrices
    {
        /// <summary>Makes the unit matrix.</summary>
        public static void Identity(double[] matrix)
        {
            for (int i = 0; i < 16; i++) matrix[i] = i % 5 == 0 ? 1 : 0;
        }

        /// <summary>product = a b; none of them the same array.</summary>
        public static void Multiply(double[] a, double[] b, double[] product)
        {
            for (int row = 0; row < 4; row++)
            {
                for (int column = 0; column < 4; column++)
                {
                    double sum = 0;
                    for (int k = 0; k < 4; k++) sum += a[4 * row + k] * b[4 * k + column];
                    product[4 * row + column] = sum;
                }
            }
        }

        /// <summary>Gauss-Jordan with pivots; false when there is no inverse.</summary>
        public static bool Invert(double[] matrix, double[] inverse)
        {
            double* left = stackalloc double[16];
            for (int i = 0; i < 16; i++) left[i] = matrix[i];
            Identity(inverse);
            for (int column = 0; column < 4; column++)
            {
                int pivot = Pivot(left, column);
                if (Math.Abs(left[4 * pivot + column]) < 1e-300) return false;
                Swap(left, inverse, pivot, column);
                Clear(left, inverse, column);
            }
            return true;
        }

        private static int Pivot(double* left, int column)
        {
            int best = column;
            for (int row = column + 1; row < 4; row++)
            {
                if (Math.Abs(left[4 * row + column]) > Math.Abs(left[4 * best + column])) best = row;
            }
            return best;
        }

        private static void Swap(double* left, double[] right, int one, int other)
        {
            if (one == other) return;
            for (int i = 0; i < 4; i++)
            {
                double kept = left[4 * one + i];
                left[4 * one + i] = left[4 * other + i];
                left[4 * other + i] = kept;
                kept = right[4 * one + i];
                right[4 * one + i] = right[4 * other + i];
                right[4 * other + i] = kept;
            }
        }

        private static void Clear(double* left, double[] right, int column)
        {
            double scale = 1 / left[5 * column];
            for (int i = 0; i < 4; i++)
            {
                left[4 * column + i] *= scale;
                right[4 * column + i] *= scale;
            }
            for (int row = 0; row < 4; row++)
            {
                double factor = left[4 * row + column];
                if (row == column || factor == 0) continue;
                for (int i = 0; i < 4; i++)
                {
                    left[4 * row + i] -= factor * left[4 * column + i];
                    right[4 * row + i] -= factor * right[4 * column + i];
                }
            }
        }
    }
}
