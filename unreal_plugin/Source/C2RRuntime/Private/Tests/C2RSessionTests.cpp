// Automation > C2R.Session and C2R.Plan: what needs no server and no GPU.
#include "C2RPlayback.h"
#include "C2RReadbackRing.h"
#include "C2RSession.h"
#include "C2RSettings.h"
#include "C2RStreetPlan.h"
#include "CoreMinimal.h"
#include "HAL/PlatformProcess.h"
#include "Misc/AutomationTest.h"

#if WITH_DEV_AUTOMATION_TESTS

IMPLEMENT_SIMPLE_AUTOMATION_TEST(FC2RSessionTest, "C2R.Session.WithoutServer", EAutomationTestFlags::EditorContext | EAutomationTestFlags::ClientContext | EAutomationTestFlags::EngineFilter)

bool FC2RSessionTest::RunTest(const FString& Parameters)
{
	FString Problem;
	const UC2RSettings& Settings = *GetDefault<UC2RSettings>();
	// Nothing listens at port 1.
	const FC2RSessionPtr Session = FC2RSession::Open(Settings, TEXT("127.0.0.1:1"), FString(), Problem);
	if (!TestTrue(*Problem, Session.IsValid()))
	{
		return false;
	}
	for (int32 Try = 0; Try < 100 && Session->GetStatus().State != EC2RState::Reconnecting; ++Try)
	{
		FPlatformProcess::Sleep(0.05f);
	}
	TestTrue(TEXT("tries again"), Session->GetStatus().State == EC2RState::Reconnecting);
	TestFalse(TEXT("says why"), Session->GetStatus().Text.IsEmpty());
	return true;
}

IMPLEMENT_SIMPLE_AUTOMATION_TEST(FC2RRingTest, "C2R.Session.Ring", EAutomationTestFlags::EditorContext | EAutomationTestFlags::ClientContext | EAutomationTestFlags::EngineFilter)

bool FC2RRingTest::RunTest(const FString& Parameters)
{
	C2R::TReadbackRing<2> Ring;
	TestEqual(TEXT("first"), Ring.Claim(), 0);
	TestEqual(TEXT("second"), Ring.Claim(), 1);
	TestEqual(TEXT("full"), Ring.Claim(), -1);
	TestEqual(TEXT("oldest"), Ring.Oldest(), 0);
	Ring.Release();
	TestEqual(TEXT("free again"), Ring.Claim(), 0);
	return true;
}

IMPLEMENT_SIMPLE_AUTOMATION_TEST(FC2RPlanTest, "C2R.Plan.SameSeedSameStreet", EAutomationTestFlags::EditorContext | EAutomationTestFlags::ClientContext | EAutomationTestFlags::EngineFilter)

bool FC2RPlanTest::RunTest(const FString& Parameters)
{
	const C2R::FPlan One = C2R::StreetPlan(7, 120.0), Other = C2R::StreetPlan(7, 120.0);
	TestTrue(TEXT("as many parts"), One.size() == Other.size() && One.size() > 100);
	TestEqual(TEXT("in the same places"), One.back().Centre[0], Other.back().Centre[0], 0.0);
	return true;
}

#endif
