// The sample's low-poly street as numbers: plain C++, no engine headers.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace C2R
{

enum class EShape : int32_t { Box, Cylinder, Ball };
enum class ETone : int32_t { Asphalt, Pavement, Brick, Plaster, Glass, Leaf, Bark, Car, Metal, Skin, Cloth, Count };

/** One primitive: metres, x along the street, y across it, z up; `Turn` in degrees about z. */
struct FPrimitive
{
	EShape Shape = EShape::Box;
	ETone Tone = ETone::Plaster;
	double Centre[3] = {0, 0, 0};
	double Extent[3] = {1, 1, 1};
	double Turn = 0.0;
};

/** Numbers that follow from a seed alone (xorshift), on every machine. */
class FDice
{
public:
	explicit FDice(uint32_t Seed) : State(Seed * 2654435761u + 1u) {}

	double Between(double Low, double High)
	{
		State ^= State << 13;
		State ^= State >> 17;
		State ^= State << 5;
		return Low + (High - Low) * (State / 4294967296.0);
	}

private:
	uint32_t State;
};

using FPlan = std::vector<FPrimitive>;

inline void AddTree(FPlan& Plan, double X, double Y, double Height)
{
	Plan.push_back({EShape::Cylinder, ETone::Bark, {X, Y, 0.25 * Height}, {0.3, 0.3, 0.5 * Height}, 0});
	Plan.push_back({EShape::Ball, ETone::Leaf, {X, Y, 0.7 * Height}, {0.6 * Height, 0.6 * Height, 0.6 * Height}, 0});
}

inline void AddCar(FPlan& Plan, double X, double Y)
{
	Plan.push_back({EShape::Box, ETone::Car, {X, Y, 0.65}, {4.3, 1.8, 0.8}, 0});
	Plan.push_back({EShape::Box, ETone::Glass, {X - 0.2, Y, 1.3}, {2.2, 1.6, 0.6}, 0});
	for (int Wheel = 0; Wheel < 4; ++Wheel)
		Plan.push_back({EShape::Ball, ETone::Metal, {X + (Wheel & 1 ? 1.4 : -1.4), Y + (Wheel & 2 ? 0.8 : -0.8), 0.32}, {0.64, 0.25, 0.64}, 0});
}

inline void AddPerson(FPlan& Plan, double X, double Y, double Turn)
{
	Plan.push_back({EShape::Cylinder, ETone::Cloth, {X, Y, 0.75}, {0.45, 0.35, 1.5}, Turn});
	Plan.push_back({EShape::Ball, ETone::Skin, {X, Y, 1.62}, {0.26, 0.26, 0.28}, Turn});
}

inline void AddHouse(FPlan& Plan, FDice& Dice, double X, double Side, double Width)
{
	const double Height = Dice.Between(7.0, 19.0), Depth = Dice.Between(8.0, 13.0);
	const double Y = Side * (9.0 + 0.5 * Depth);
	const ETone Wall = Dice.Between(0.0, 1.0) < 0.5 ? ETone::Brick : ETone::Plaster;
	Plan.push_back({EShape::Box, Wall, {X, Y, 0.5 * Height}, {Width - 0.4, Depth, Height}, 0});
	for (double Floor = 2.0; Floor + 1.4 < Height; Floor += 3.0)
		for (double Across = 1.5; Across + 1.2 < Width; Across += 2.6)
			Plan.push_back({EShape::Box, ETone::Glass, {X - 0.5 * Width + Across + 0.4, Side * 9.0, Floor}, {1.2, 0.1, 1.5}, 0});
}

/** A street of `Length` metres, centred on the origin; at least 20. The same seed gives the same street. */
inline FPlan StreetPlan(uint32_t Seed, double Length)
{
	FPlan Plan;
	FDice Dice(Seed);
	Length = Length < 20.0 ? 20.0 : Length;
	Plan.push_back({EShape::Box, ETone::Asphalt, {0, 0, -0.1}, {Length, 9.0, 0.2}, 0});
	for (double Side = -1.0; Side <= 1.0; Side += 2.0)
	{
		Plan.push_back({EShape::Box, ETone::Pavement, {0, Side * 6.75, -0.02}, {Length, 4.5, 0.34}, 0});
		for (double X = -0.5 * Length; X < 0.5 * Length - 6.0;)
		{
			const double Width = Dice.Between(7.0, 13.0);
			AddHouse(Plan, Dice, X + 0.5 * Width, Side, Width);
			X += Width;
		}
		for (double X = -0.5 * Length + 4.0; X < 0.5 * Length; X += Dice.Between(9.0, 14.0))
			AddTree(Plan, X, Side * 5.2, Dice.Between(4.0, 7.0));
		for (double X = -0.5 * Length + 6.0; X < 0.5 * Length; X += Dice.Between(8.0, 24.0))
			AddCar(Plan, X, Side * 3.3);
		for (double X = -0.5 * Length + 2.0; X < 0.5 * Length; X += Dice.Between(4.0, 12.0))
			AddPerson(Plan, X, Side * Dice.Between(6.0, 8.2), Dice.Between(0.0, 360.0));
	}
	return Plan;
}

}  // namespace C2R
