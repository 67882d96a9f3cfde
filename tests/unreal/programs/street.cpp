// The sample's street: the same for a seed, another for another, and nothing stands in the road.
#include "C2RStreetPlan.h"
#include "expect.h"

#include <algorithm>

static bool Same(const C2R::FPlan& One, const C2R::FPlan& Other)
{
	return std::equal(One.begin(), One.end(), Other.begin(), Other.end(), [](const C2R::FPrimitive& A, const C2R::FPrimitive& B) {
		return A.Shape == B.Shape && A.Tone == B.Tone && A.Turn == B.Turn && std::equal(A.Centre, A.Centre + 3, B.Centre) && std::equal(A.Extent, A.Extent + 3, B.Extent);
	});
}

int main()
{
	const C2R::FPlan Plan = C2R::StreetPlan(7, 120.0);
	EXPECT(Same(Plan, C2R::StreetPlan(7, 120.0)));
	EXPECT(!Same(Plan, C2R::StreetPlan(8, 120.0)));
	EXPECT(C2R::StreetPlan(7, 200.0).size() > Plan.size());
	EXPECT(C2R::StreetPlan(7, -5.0).size() == C2R::StreetPlan(7, 20.0).size());
	bool Tones[static_cast<int>(C2R::ETone::Count)] = {};
	for (const C2R::FPrimitive& Part : Plan)
	{
		Tones[static_cast<int>(Part.Tone)] = true;
		for (double Side : Part.Extent) EXPECT(Side > 0.0 && Side <= 120.0);
		EXPECT(std::fabs(Part.Centre[0]) <= 62.0);
		const bool bStandsUp = Part.Centre[2] > 0.2;
		EXPECT(!bStandsUp || std::fabs(Part.Centre[1]) - 0.5 * Part.Extent[1] > 2.0);
	}
	for (bool bUsed : Tones) EXPECT(bUsed);
	return Done(Checks());
}
