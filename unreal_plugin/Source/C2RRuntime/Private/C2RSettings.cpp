#include "C2RSettings.h"

FName UC2RSettings::GetCategoryName() const
{
	return FName(TEXT("Plugins"));
}

FString UC2RSettings::Problem() const
{
	if (Width < 64 || Height < 64 || Width % 16 != 0 || Height % 16 != 0)
	{
		return FString::Printf(TEXT("The session is %d x %d; both sides must be multiples of 16, 64 or more (Project Settings > Plugins > C2R)"), Width, Height);
	}
	if (!(FramesPerSecond > 0.0))
	{
		return TEXT("Frames Per Second must be above 0 (Project Settings > Plugins > C2R)");
	}
	if (!(Strength >= 0.0 && Strength <= 2.0))
	{
		return TEXT("Strength must be in [0, 2] (Project Settings > Plugins > C2R)");
	}
	return FString();
}
